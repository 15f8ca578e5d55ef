// Package engine is what every engine needs to tell in probe's words what
// rawsock saw: what an ICMP error means, how long an answer took, why a packet
// could not leave.
//
// What surprises: a kernel timestamp is a claim in wall time, and wall time may
// be set between two of them. Wall believes only what the monotonic clock saw
// happen around it.
package engine
