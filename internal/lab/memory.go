package lab

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
)

var errClosed = errors.New("lab: network is closed")

// receiveQueue is how many packets wait for the reader of a Memory before
// further ones are dropped, as a socket's receive buffer would.
const receiveQueue = 1 << 14

// Memory is a network without an operating system: IP packets in, IP packets
// out. It works in real time, and in virtual time inside a synctest bubble.
type Memory struct {
	sim   *sim
	queue chan []byte
	once  sync.Once
}

// Memory starts the network. It panics if t is not valid: see Validate. Close
// must be called.
func (t Topology) Memory() *Memory {
	m := &Memory{queue: make(chan []byte, receiveQueue)}
	s, err := newSim(&t, m.deliver)
	if err != nil {
		panic(err)
	}
	m.sim = s
	return m
}

// deliver is called by the simulator, one packet at a time.
func (m *Memory) deliver(raw []byte) bool {
	if len(m.queue) == cap(m.queue) {
		return false
	}
	m.queue <- bytes.Clone(raw)
	return true
}

// Send sends one IP packet (or fragment) from the prober; the caller keeps ip.
// It fails after Close, and for what is no IP packet.
func (m *Memory) Send(ip []byte) error { return m.sim.ingress(ip) }

// Receive returns the IP packets for the prober, each at the instant it
// arrives. The channel is closed by Close; the receiver owns the packets.
func (m *Memory) Receive() <-chan []byte { return m.queue }

// Log returns what the network did.
func (m *Memory) Log() *Log { return m.sim.log }

// Source returns the prober's address in the family of dst; invalid if it has none.
func (m *Memory) Source(dst netip.Addr) netip.Addr { return sameFamily(m.sim.prober, dst) }

// Close ends the network; what is under way is never delivered.
func (m *Memory) Close() {
	m.once.Do(func() {
		m.sim.close()
		close(m.queue)
	})
}
