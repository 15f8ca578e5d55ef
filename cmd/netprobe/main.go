// Command netprobe answers one question for the person on call: is it
// reachable, how well, and if not, where does it break?
//
// The verbs are thin: a verb turns its flags into an engine and a session, and
// the session does what all verbs have in common, from the sockets to the exit
// code. What users script against (flags, records, exit codes) holds for every
// verb alike.
//
// What surprises: the order of a run. Sockets and files are opened first, then
// every capability is dropped for good, and only then are names looked up and
// packets sent, so that nothing from the network ever meets a privileged process.
// With --mark, sockets that are made later keep the one capability that takes.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
