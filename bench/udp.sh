# The part of run.sh that measures scan --udp, between two network namespaces of its
# own. The kernel of the far one tells of its closed ports, as far as it is let, and
# gauge answers as services do.

udp_packages=(nmap:nmap ip:iproute2 nft:nftables)
udp_measures=(lifted services told)

readonly udp_near=npbench-$$-udp-near udp_far=npbench-$$-udp-far
readonly udp_closed=10.2.0.1      # all of its ports are closed
readonly udp_serving=10.2.0.2     # silent but for the services
# 20 services, of which 14 have protocols that netprobe speaks, and 1,000 silent ports.
readonly udp_ports=1-1014,3478,4433,5060,5353,5683,11211
readonly udp_open=7,53,69,111,123,137,161,389,443,500,520,623,853,1000,3478,4433,5060,5353,5683,11211
readonly told_burst=6             # what Linux tells at once; then one a second
readonly told_rest=8              # s, until it could tell so many again

udp_setup() {
	told_ports=1000 told_peer=100 lifted_reps=20 services_reps=20
	[[ -z $quick ]] || told_ports=60 told_peer=10 lifted_reps=3 services_reps=2
	make_udp_hosts
}

udp_cleanup() {
	ip netns del "$udp_near" 2>/dev/null
	ip netns del "$udp_far" 2>/dev/null
}

udp_peers() { nmap --version | sed -n 's/^Nmap version \([^ ]*\).*/nmap \1/p'; }

udp_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, between two network namespaces joined by a veth pair, and wrote to a
		file. "Whole command" is from exec to exit.

		A Linux kernel tells of its closed ports six times at once and then once a second (icmp_ratelimit = 1000 ms, its
		default): the last of 1,000 after 994 s, and that is "the least there is". nmap was asked for a tenth as
		many ports, as was netprobe once more. A port that is not called closed counts as undecided. The ETA is
		what netprobe says at SIGQUIT after 10 s; its error is a part of the time that really was left.

		"All told" is icmp_ratelimit = 0, icmp_msgs_per_sec = 1,000,000 and icmp_msgs_burst = 1,000,000: the
		defaults of the latter, 1,000 a second and 50 at once for all peers together, would still thin out a scan.

		Services (`gauge answer`) answer the questions of dns, tftp, ntp, netbios, snmp, quic (two ports), ike, stun, dtls, sip,
		mdns, coap and memcached at their ports, and anything at six others; 1,000 ports are dropped (nftables). Loss is random
		(nftables), 10 % of the packets in either direction.

	TEXT
	echo '```text'
	printf '%s\n' "${udp_lines[@]}"
	echo '```'
}

# ---- network -----------------------------------------------------------------

in_udp_near() { ip netns exec "$udp_near" "$@"; }
in_udp_far() { ip netns exec "$udp_far" "$@"; }

# make_udp_hosts builds near --veth-- far, and the hosts behind far.
make_udp_hosts() {
	local ns host
	ip netns add "$udp_near"
	ip netns add "$udp_far"
	ip -n "$udp_near" link add wire type veth peer name wire netns "$udp_far"
	ip -n "$udp_near" address add 192.0.2.1/24 dev wire
	ip -n "$udp_far" address add 192.0.2.2/24 dev wire
	for ns in "$udp_near" "$udp_far"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set wire up
	done
	for host in $udp_closed $udp_serving; do
		ip -n "$udp_near" route add $host via 192.0.2.2
		ip -n "$udp_far" route add local $host dev lo
	done
}

# serve_udp answers at the ports of the services until the end.
serve_udp() {
	local i
	: >"$scratch/answer"
	# exec: the signal that ends it must reach gauge itself, not a shell.
	(exec ip netns exec "$udp_far" "$scratch/gauge" answer --hosts $udp_serving --ports $udp_open >"$scratch/answer" 2>&1) &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		grep -q ready "$scratch/answer" && return
		sleep .05
	done
	die "no UDP services: $(cat "$scratch/answer")"
}

# lose_datagrams has the ports without services be silent, and one in ten packets
# vanish in either direction.
lose_datagrams() {
	in_udp_near nft "add table ip doors; add chain ip doors in { type filter hook prerouting priority -300; }; \
		add rule ip doors in ip saddr $udp_serving numgen random mod 100 < 10 drop"
	in_udp_far nft "add table ip doors; add chain ip doors in { type filter hook prerouting priority -300; }; \
		add rule ip doors in ip daddr $udp_serving udp dport != { $udp_open } drop; \
		add rule ip doors in ip daddr $udp_serving numgen random mod 100 < 10 drop"
}

# ---- one run -----------------------------------------------------------------

udp_lines=() # the commands, for the report

# udp_once MEASURE TOOL FORMAT [OPTIONS OF GAUGE...] -- COMMAND...
# In the command, netprobe stands for the one that is measured.
udp_once() {
	local measure=$1 tool=$2 options=(--format "$3") command known line
	shift 3
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	command=("$@") line=$*
	for known in "${udp_lines[@]}"; do [[ $known != "$line" ]] || line=; done
	[[ -z $line ]] || udp_lines+=("$line")
	[[ $1 != netprobe ]] || command[0]=$scratch/netprobe
	in_udp_near "$scratch/gauge" scan --samples "$samples" --measure "$measure" --tool "$tool" --output "$scratch/udp.out" \
		--limit 30m "${options[@]}" -- "${command[@]}" 2>"$scratch/udp.err" || die "$measure, $tool: $(tail -1 "$scratch/udp.err")"
}

# ---- measures ----------------------------------------------------------------

measure_lifted() {
	local rep tool
	say "1,000 closed UDP ports of which all are told"
	in_udp_far sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=1000000 net.ipv4.icmp_msgs_burst=1000000
	for ((rep = 0; rep < lifted_reps; rep++)); do
		for tool in $(turn $rep netprobe nmap); do
			case $tool in
			netprobe) udp_once lifted netprobe grepable --states --asked 1000 -- netprobe scan --udp -o grepable -p 1-1000 $udp_closed ;;
			nmap) udp_once lifted 'nmap -sU' grepable --states --asked 1000 -- nmap -sU -n -Pn -p 1-1000 -oG - $udp_closed ;;
			esac
		done
	done
}

measure_services() {
	local rep
	say "20 UDP services among 1,000 silent ports, 10 % loss each way"
	serve_udp
	lose_datagrams
	for ((rep = 0; rep < services_reps; rep++)); do
		udp_once services netprobe json --silent --open $udp_serving=$udp_open --asked 1020 -- netprobe scan --udp --json -p $udp_ports $udp_serving
	done
	in_udp_near nft delete table ip doors
	in_udp_far nft delete table ip doors
}

# told_once PORTS [OPTIONS OF GAUGE...]: netprobe at so many ports.
told_once() {
	sleep $told_rest
	udp_once told "netprobe, $1 ports" json --asked "$1" --ideal $(($1 - told_burst))s "${@:2}" -- netprobe scan --udp --json -p 1-"$1" $udp_closed
}

measure_told() {
	say "closed UDP ports of which one is told a second, about $(((told_ports + 2 * told_peer) / 60 + 1)) min"
	in_udp_far sysctl -qw net.ipv4.icmp_ratelimit=1000 net.ipv4.icmp_msgs_per_sec=1000 net.ipv4.icmp_msgs_burst=50
	sleep $told_rest
	udp_once told "nmap -sU, $told_peer ports" grepable --states --asked $told_peer -- nmap -sU -n -Pn -p 1-$told_peer -oG - $udp_closed
	told_once $told_peer
	told_once $told_ports --eta 10s
}
