// Package lab is the virtual network that every test uses, and that netprobe lab
// gives to people. One Topology value says what the network is like: the prober's
// addresses, the hops on the path with their links, the hosts behind them and how
// they misbehave. The same value is played in two ways:
//
//	           Topology
//	          /        \
//	   Memory()        Start(t, topo)
//	IP packets in,     a network namespace whose only way out is a TUN device:
//	IP packets out,    real kernel and real sockets at the prober's end (and, for
//	every OS, works    hosts marked Kernel, behind a second TUN device at the
//	in synctest        other end), simulated hops between them
//
// Program plays it for a command that people run inside. Package labfile reads
// topologies from files.
//
// Pair makes a third kind of network, without a simulator: two namespaces joined
// by a veth pair, with a real kernel at both ends.
//
// The simulator is a discrete-event machine: every packet carries the instant at
// which it reaches the next node, so results do not depend on how late the
// machine woke up, and a seed makes chance repeatable. It logs the fate of every
// packet (Log), which is what a test compares its subject's counts and paths
// with: Log.Truth tells of every probe at which hop it ended and what became of
// the answer.
//
// A packet has its route from the start: where Hop.Ways lie side by side, the
// way is drawn as it leaves the prober, and the answer returns along it.
//
// Packets are taken apart and put together here (parse.go, build.go, tcp.go) and
// never by netprobe's own rawsock, so that one mistake cannot hide itself in
// both. The two share no code; only tests let github.com/gopacket/gopacket judge
// them, because its tables would make the program a fifth larger.
//
// Who asks for names is answered by resolvers of the network's own, in
// Topology.Names; they are no part of the path.
//
// What surprises: jitter never reorders, only Link.Reorder does; and an IPv4
// packet that may be fragmented passes every MTU whole, because what a router
// would cut, the host would join again.
package lab
