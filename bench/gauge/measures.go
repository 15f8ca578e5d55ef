package main

import "math"

// measures are all that report knows, in the order of the table.
var measures = []measure{
	{name: "rtt-idle", title: "RTT error, idle", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "rtt-busy", title: "RTT error, all cores busy", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "rtt-quota", title: "RTT error, 20 % CPU quota", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "wire-idle", title: "RTT on the wire, idle", unit: "µs", digits: 1},
	{name: "cpu", title: "CPU per probe, 1,000 targets at 1/s", unit: "µs", digits: 2, goal: atMostTimes(1.5, "fping")},
	{name: "peak", title: "peak memory, 1,000 targets", unit: "MB", digits: 1, goal: goal{
		text: "max < 30 MB", met: func(own, _ figures) bool { return own.maximum < 30 },
	}},
	{name: "pace-wall", title: "-i 0.01 -c 1000: wall time", unit: "s", digits: 3, goal: goal{
		text: "median 10 s ± 1 %", met: func(own, _ figures) bool { return math.Abs(own.median-10) <= .1 },
	}},
	{name: "pace-gap", title: "-i 0.01 -c 1000: gap on the wire", unit: "ms", digits: 3, goal: goal{
		text: "mean 10.00 ms", met: func(own, _ figures) bool { return math.Abs(own.mean-10) < .005 },
	}},
	{name: "start", title: "exec to first packet", unit: "ms", digits: 2, goal: goal{
		text: "median < 15 ms", met: func(own, _ figures) bool { return own.median < 15 },
	}},
	{name: "whole", title: "whole command, -c 1", unit: "ms", digits: 2},
	{name: "size", title: "stripped static binary", unit: "MB", digits: 2, goal: goal{
		text: "< 12 MB", met: func(own, _ figures) bool { return own.maximum < 12 },
	}},
	{name: "flood", title: "flood, one target", unit: "packets/s", digits: 0},

	{name: "all-rest", title: "20 hops: after the first packet", unit: "s", digits: 3, goal: atMost(.15)},
	{name: "all-wall", title: "20 hops: whole command", unit: "s", digits: 3},
	{name: "all-start", title: "20 hops: exec to first packet", unit: "ms", digits: 1},
	{name: "all-packets", title: "20 hops: probes sent", unit: "packets", digits: 0},
	{name: "all-wrong", title: "20 hops: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "all-error", title: "20 hops: RTT error", unit: "ms", digits: 3, abs: true},
	{name: "silent-wall", title: "3 silent hops: whole command", unit: "s", digits: 3, goal: atMost(.5)},
	{name: "silent-wrong", title: "3 silent hops: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "firewalled-wall", title: "target firewalled: whole command", unit: "s", digits: 3, goal: atMost(1.3)},
	{name: "firewalled-wrong", title: "target firewalled: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "slow-wall", title: "hops of 600 ms and 1.2 s: whole command", unit: "s", digits: 3},
	{name: "slow-wrong", title: "hops of 600 ms and 1.2 s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "limited-wall", title: "hops limited to 1/s: whole command", unit: "s", digits: 2},
	{name: "limited-lossy", title: "hops limited to 1/s: said to be lossy", unit: "hops", digits: 0, goal: none},
	{name: "limited-wrong", title: "hops limited to 1/s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "many-wall", title: "500 targets, 10,000/s: whole command", unit: "s", digits: 3, goal: goal{
		text: "median <= scamper", peer: "scamper",
		met: func(own, peer figures) bool { return own.median <= peer.median },
	}},
	{name: "many-cpu", title: "500 targets, 10,000/s: CPU", unit: "s", digits: 3},
	{name: "many-packets", title: "500 targets, 10,000/s: probes sent", unit: "packets", digits: 0},
	{name: "many-wrong", title: "500 targets, 10,000/s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "wide4-wall", title: "all paths, 4 wide: whole command", unit: "s", digits: 3, goal: goal{
		text: "max <= 2 s", met: func(own, _ figures) bool { return own.maximum <= 2 },
	}},
	{name: "wide4-packets", title: "all paths, 4 wide: probes sent", unit: "packets", digits: 0},
	{name: "wide4-missing", title: "all paths, 4 wide: missing", unit: "hops and links", digits: 0, goal: mostly},
	{name: "wide4-false", title: "all paths, 4 wide: false", unit: "hops and links", digits: 0, goal: none},
	{name: "wide16-wall", title: "all paths, 16 wide: whole command", unit: "s", digits: 3},
	{name: "wide16-packets", title: "all paths, 16 wide: probes sent", unit: "packets", digits: 0},
	{name: "wide16-missing", title: "all paths, 16 wide: missing", unit: "hops and links", digits: 0, goal: mostly},
	{name: "wide16-false", title: "all paths, 16 wide: false", unit: "hops and links", digits: 0, goal: none},

	{name: "s65k-wall", title: "65,535 hosts: whole command", unit: "s", digits: 3, goal: atMostTimes(.9, "fping")},
	{name: "s65k-cpu", title: "65,535 hosts: CPU", unit: "s", digits: 3, goal: atMostTimes(1.2, "fping")},
	{name: "s65k-wrong", title: "65,535 hosts: missed or false", unit: "hosts", digits: 0, goal: none},
	{name: "adaptive-wall", title: "65,535 hosts, adaptive pace: whole command", unit: "s", digits: 3},
	{name: "adaptive-cpu", title: "65,535 hosts, adaptive pace: CPU", unit: "s", digits: 3},
	{name: "adaptive-wrong", title: "65,535 hosts, adaptive pace: missed or false", unit: "hosts", digits: 0, goal: none},
	{name: "s1m-rate", title: "1,048,576 hosts: rate", unit: "hosts/s", digits: 0, goal: goal{
		text: "median >= 0.85 x yardstick", peer: "yardstick", best: true,
		met: func(own, peer figures) bool { return own.median >= .85*peer.median },
	}},
	{name: "s1m-wall", title: "1,048,576 hosts: whole command", unit: "s", digits: 2},
	{name: "s1m-load", title: "1,048,576 hosts: CPU per host", unit: "µs", digits: 2},
	{name: "s1m-peak", title: "1,048,576 hosts: peak memory", unit: "MB", digits: 1, goal: goal{
		text: "max < 64 MB", met: func(own, _ figures) bool { return own.maximum < 64 },
	}},
	{name: "s1m-wrong", title: "1,048,576 hosts: missed or false", unit: "hosts", digits: 0, goal: none},
	{name: "loss-missed", title: "5 % loss each way: missed of 65,536 alive", unit: "%", digits: 4, goal: goal{
		text: "max <= 0.05 %", met: func(own, _ figures) bool { return own.maximum <= .05 },
	}},
	{name: "loss-false", title: "5 % loss each way: dead of 65,536 said to be alive", unit: "hosts", digits: 0, goal: none},
	{name: "loss-wall", title: "5 % loss each way: whole command", unit: "s", digits: 2},
	{name: "prefix6-wall", title: "65,536 hosts of a prefix: whole command", unit: "s", digits: 3, goal: atMostTimes(1.2, "netprobe IPv4")},
	{name: "prefix6-load", title: "65,536 hosts of a prefix: CPU per host", unit: "µs", digits: 2},
	{name: "prefix6-rate", title: "65,536 hosts of a prefix: rate", unit: "hosts/s", digits: 0},
	{name: "prefix6-wrong", title: "65,536 hosts of a prefix: missed or false", unit: "hosts", digits: 0, goal: none},
	{name: "list6-wall", title: "65,536 hosts of a list: whole command", unit: "s", digits: 3, goal: atMostTimes(1.2, "netprobe IPv4")},
	{name: "list6-load", title: "65,536 hosts of a list: CPU per host", unit: "µs", digits: 2},
	{name: "list6-wrong", title: "65,536 hosts of a list: missed or false", unit: "hosts", digits: 0, goal: none},
	{name: "dark-packets", title: "20,000 silent hosts: requests sent", unit: "packets", digits: 0, goal: near(40000, 0)},
	{name: "dark-pace", title: "20,000 silent hosts, --rate 10000: pace", unit: "packets/s", digits: 0, goal: near(10000, .01)},
	{name: "dark-rest", title: "20,000 silent hosts: last request to exit", unit: "s", digits: 3, goal: atMost(1.6)},
	{name: "dark-wall", title: "20,000 silent hosts: whole command", unit: "s", digits: 3, goal: near(5.5, .02)},
	{name: "dark-wrong", title: "20,000 silent hosts: said to be alive", unit: "hosts", digits: 0, goal: none},
}
