# The part of run.sh that compares the round-trip times of tcp with a capture of
# SYN and SYN-ACK, in the network of the part ping.

tcp_packages=(nping:nmap ping:iputils-ping ip:iproute2 taskset:util-linux)
tcp_measures=(handshake)

readonly door=443 # where the far end listens

tcp_setup() {
	connects=400 handshake_reps=3
	[[ -z $quick ]] || connects=200 handshake_reps=1
	[[ -e /run/netns/$near_ns ]] || make_network
	open_door
}

tcp_cleanup() {
	ip netns del "$near_ns" 2>/dev/null
	ip netns del "$far_ns" 2>/dev/null
}

tcp_peers() { nping --version | sed -n 's/^Nping version \([^ ]*\).*/nping \1/p'; }

tcp_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, between two network namespaces joined by a veth pair; a plain server
		(`gauge listen`) accepts at the far end and closes. RTT error is the round-trip time a tool prints minus the
		time between the SYN and its SYN-ACK in a capture at the prober's interface; 10 ms between probes; the table
		shows its size, `bias` is the median with its sign. "Wall clock" is the time that netprobe took of the same probes
		(host_ms in its records), as tools tell that ask no kernel. nping prints 0.1 ms. "Busy" is one busy loop on
		each core.
	TEXT
}

# open_door accepts connections at the far end until the end.
open_door() {
	local i
	: >"$scratch/door"
	(exec ip netns exec "$far_ns" "$scratch/gauge" listen --ports $door >"$scratch/door" 2>&1) &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		grep -q ready "$scratch/door" && return
		sleep .05
	done
	die "the far namespace does not listen: $(cat "$scratch/door")"
}

# handshake_once LOAD TOOL
handshake_once() {
	local measure=handshake-$1 command wire=
	[[ $1 != idle ]] || wire=handshake-wire
	case $2 in
	netprobe) command=("$scratch/netprobe" tcp --json -c $connects -i 0.01 $far:$door) ;;
	nping) command=(nping --tcp -p $door -c $connects --delay 10ms $far) ;;
	esac
	capture_on "$scratch/tcp.pcap"
	near timeout 60 "${command[@]}" >"$scratch/tcp.out" 2>"$scratch/tcp.err" || true
	capture_off
	gauge rtt --measure $measure --tool $2 --probes $connects --pcap "$scratch/tcp.pcap" --output "$scratch/tcp.out" --wire "$wire" ||
		die "$measure, $2: $(head -3 "$scratch/tcp.err")"
	[[ $2 == netprobe ]] || return 0
	gauge rtt --measure $measure --tool 'wall clock' --probes $connects --pcap "$scratch/tcp.pcap" --output "$scratch/tcp.out" --field host_ms ||
		die "$measure, wall clock: not measured"
}

measure_handshake() {
	local rep tool load
	say "RTT error of connects against the capture"
	for load in idle busy; do
		[[ $load == idle ]] || load_cores
		for ((rep = 0; rep < handshake_reps; rep++)); do
			for tool in $(turn $rep netprobe nping); do handshake_once $load $tool; done
		done
		[[ $load == idle ]] || drop_load
	done
}
