//go:build race

package probe

const racing = true
