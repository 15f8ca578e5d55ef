//go:build !unix

package main

import "os"

var snapshotSignals, resizeSignals []os.Signal

func stopSignals() []os.Signal { return []os.Signal{os.Interrupt} }

func ignorePipe() {}
