package scan

import (
	"cmp"
	"net/netip"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// Adaptive as Config.Retries lets the loss that is seen decide.
const Adaptive = -1

// Config is one scan.
type Config struct {
	Source probe.Source // hosts
	Ports  []uint16     // of every host, each once, none 0
	UDP    bool

	Seed    uint64      // of the order of ports, which is another one for each host
	Ordered bool        // in the order of Ports
	Shard   probe.Shard // the part of all pairs of host and port this machine has

	Retries int           // further tries for a silent port; Adaptive for as many as it takes
	Settle  time.Duration // how long the last try at a port is waited for, at least; 0 means DefaultSettle
	Rate    float64       // tries per second for the whole run; 0 for no cap
	Hosts   int           // hosts begun and not finished at a time; 0 for what memory bears

	From []Begun // what an earlier run left of the hosts it had begun
	Keep bool    // remember hosts with names that are decided: see Engine.Finished
}

// Begun is how far an earlier run came with a host it had begun.
type Begun struct {
	Index uint64     `json:"host"`
	Addr  netip.Addr `json:"addr"`
	Next  int        `json:"next"`            // position in the host's order of ports; all before are decided,
	Again []uint16   `json:"again,omitempty"` // but for the ports at these positions
}

func (cfg *Config) complete() {
	cfg.Settle = cmp.Or(max(cfg.Settle, 0), DefaultSettle)
	if cfg.Hosts <= 0 {
		cfg.Hosts = min(max(portsHeld/max(len(cfg.Ports), 1), minHosts), maxHosts)
	}
}

const (
	// DefaultSettle is just above the second after which a kernel sends a SYN
	// again (RFC 6298, section 2.1): a connect whose first SYN was lost gets a
	// second chance.
	DefaultSettle = 1250 * time.Millisecond

	// Ports of hosts that are not finished cost 16 bytes each.
	portsHeld = 1 << 19
	minHosts  = 8
	maxHosts  = 1024

	maxTries = 10 // at one port, where loss is steady
	hardMax  = 25 // in any case
	// hardMaxLimited is that for a host that tells of closed ports only so often,
	// where most tries come too early.
	hardMaxLimited = 250
	baseTries      = 2 // where no loss was seen

	// shortTries is how often a try is made again for which this host lacked
	// something, shortWait how long after.
	shortTries = 200
	shortWait  = 20 * time.Millisecond
)

// Counters are what a scan did. They say nothing about single ports.
type Counters struct {
	Hosts     uint64 // begun
	Decided   uint64 // ports
	Open      uint64
	Sent      uint64 // tries that left
	Retried   uint64 // those of them that were not a port's first
	Lost      uint64 // tries that a later answer proved lost
	Late      uint64 // answers of ports that were decided already
	Shortages uint64 // tries that had to wait as this host lacked something
	InFlight  int
	Limited   int           // UDP: hosts that tell of closed ports only so often
	Ready     time.Duration // how long the slowest of them takes, as far as known; 0 if unknown
}

var _ Transport = (*crew.Pool)(nil)
