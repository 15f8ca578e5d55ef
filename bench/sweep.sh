# The part of run.sh that compares sweep with fping and with the plainest loop
# that sends and receives, between two network namespaces of its own. The kernel
# of the far one answers for whole prefixes as if all addresses were its own.

sweep_packages=(fping:fping ip:iproute2 nft:nftables)
sweep_measures=(s65k s1m loss v6 dark)

readonly sweep_near=npbench-$$-sweep-near sweep_far=npbench-$$-sweep-far

# The hosts, by how they behave. fping leaves no address out of a range, so ranges
# are what both tools are given.
readonly all4=10.16.0.0/12 all6=2001:db8:1::/108      # alive: 1,048,576 each
readonly some4=10.16.0.0-10.16.255.254                # alive: 65,535, all that fping can
readonly few4=10.16.0.0/16 few6=2001:db8:1::/112      # alive: 65,536 each
readonly half4=10.64.0.0/15                           # every other /24 alive
readonly dark4=10.128.0.0/16                          # silent
readonly dark_range=10.128.0.0-10.128.78.31           # 20,000 of them

sweep_setup() {
	sweep_reps=5 million_reps=3 loss_runs=10 dark_reps=3
	[[ -z $quick ]] || sweep_reps=1 million_reps=1 loss_runs=2 dark_reps=1
	make_crowds
	make_lists
}

sweep_cleanup() {
	ip netns del "$sweep_near" 2>/dev/null
	ip netns del "$sweep_far" 2>/dev/null
}

sweep_peers() { echo "$(fping --version | head -1), the yardstick of bench/gauge"; }

sweep_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, between two network namespaces joined by a veth pair. The Linux kernel at
		the far end answers for whole prefixes, and does so inside the system call that sends: its work counts as CPU time
		of the prober, whichever that is. All tools send 56 bytes of payload and write to a file, which is then compared
		with the list of those who are alive: hosts missed, hosts named twice, and hosts named that are not alive count.

		"Whole command" is from exec to exit, start included, and so are the rates of netprobe. The yardstick is
		the plainest loop with sendmmsg and recvmmsg in Go (`gauge blast`): one packet built beforehand, a bit a host, and
		no retries, no timeouts, no round-trip times and no output. Its rate is from the first packet to the last answer. It
		ran in one thread, and in two of which one sends and one receives; the faster one is compared.
		fping stops at 65,535 hosts; with -c1 it ends when the last one has answered and prints two lines a host, netprobe
		one. Peak memory is the resident set, looked at every 20 ms, 1 MB = 10^6 bytes.

		Loss is random (nftables), 5 % of the requests and 5 % of the answers; every other /24 is dead there and drops
		silently. Four tries all fail for 0.009 % of the hosts by chance alone. 20,000 silent hosts at 10,000/s with one
		retry are 40,000 packets in 4 s, and 1.5 s in which the last of them could be answered; pace and rest are those of
		a capture at the prober's interface.

	TEXT
	echo '```text'
	printf '%s\n' "${sweep_lines[@]}"
	echo '```'
}

# ---- network -----------------------------------------------------------------

in_near() { ip netns exec "$sweep_near" "$@"; }

# make_crowds builds near --veth-- far, and the hosts behind far.
make_crowds() {
	local ns prefix third
	ip netns add "$sweep_near"
	ip netns add "$sweep_far"
	ip -n "$sweep_near" link add wire type veth peer name wire netns "$sweep_far"
	ip -n "$sweep_near" address add 192.0.2.1/24 dev wire
	ip -n "$sweep_far" address add 192.0.2.2/24 dev wire
	ip -n "$sweep_near" address add 2001:db8::1/64 dev wire nodad
	ip -n "$sweep_far" address add 2001:db8::2/64 dev wire nodad
	for ns in "$sweep_near" "$sweep_far"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set wire up
	done
	for prefix in $all4 $half4 $dark4; do ip -n "$sweep_near" route add $prefix via 192.0.2.2; done
	ip -n "$sweep_near" route add $all6 via 2001:db8::2
	# What is not local vanishes without a word.
	for prefix in $half4 $dark4; do ip -n "$sweep_far" route add blackhole $prefix; done
	for prefix in $all4 $all6; do ip -n "$sweep_far" route add local $prefix dev lo; done
	for ((third = 0; third < 256; third += 2)); do
		echo "route add local 10.64.$third.0/24 dev lo"
		echo "route add local 10.65.$third.0/24 dev lo"
	done | ip -n "$sweep_far" -batch -
	ip netns exec "$sweep_far" sysctl -qw net.ipv4.ip_forward=0 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=1000000 net.ipv6.icmp.ratelimit=0
	in_near "$scratch/gauge" blast --prefix 10.16.0.0/28 >/dev/null || die "the far namespace does not answer"
	in_near "$scratch/gauge" blast --prefix 2001:db8:1::/124 >/dev/null || die "the far namespace does not answer for IPv6"
}

# make_lists writes the hosts of the small prefixes to files, one a line, and
# which of the half-dead prefix are alive.
make_lists() {
	awk 'BEGIN {for (i = 0; i < 65536; i++) printf "10.16.%d.%d\n", i / 256, i % 256}' >"$scratch/list4"
	awk 'BEGIN {for (i = 0; i < 65536; i++) printf "2001:db8:1::%x\n", i}' >"$scratch/list6"
	awk 'BEGIN {for (i = 0; i < 256; i += 2) printf "10.64.%d.0/24\n10.65.%d.0/24\n", i, i}' >"$scratch/alive"
}

# lose_packets has one in twenty packets vanish in either direction, until
# keep_packets. Only packets of the half-dead prefix pay for it.
lose_packets() {
	in_near nft "add table ip loss; add chain ip loss in { type filter hook prerouting priority -300; }; \
		add rule ip loss in ip saddr $half4 numgen random mod 100 < 5 drop"
	ip netns exec "$sweep_far" nft "add table ip loss; add chain ip loss in { type filter hook prerouting priority -300; }; \
		add rule ip loss in ip daddr $half4 numgen random mod 100 < 5 drop"
}

keep_packets() {
	in_near nft delete table ip loss
	ip netns exec "$sweep_far" nft delete table ip loss
}

# ---- one run -----------------------------------------------------------------

sweep_lines=() # the commands, for the report

# noted COMMAND...: keep a command for the report, once.
noted() {
	local line known
	line=${*/#"$scratch/"/}
	for known in "${sweep_lines[@]}"; do [[ $known != "$line" ]] || return 0; done
	sweep_lines+=("$line")
}

# sweep_once MEASURE TOOL FORMAT ALIVE [OPTIONS OF GAUGE...] -- COMMAND...
# In the command, netprobe stands for the one that is measured. ALIVE are the hosts
# that should be found.
sweep_once() {
	local measure=$1 tool=$2 options=(--format "$3" --alive "$4") command
	shift 4
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	command=("$@")
	noted "$@"
	[[ $1 != netprobe ]] || command[0]=$scratch/netprobe
	in_near "$scratch/gauge" sweep --samples "$samples" --measure "$measure" --tool "$tool" --output "$scratch/sweep.out" \
		"${options[@]}" -- "${command[@]}" 2>"$scratch/sweep.err" || die "$measure, $tool: $(tail -1 "$scratch/sweep.err")"
}

# blast_once MEASURE TOOL PREFIX THREADS
blast_once() {
	noted gauge blast --prefix "$3" --threads "$4"
	in_near "$scratch/gauge" blast --samples "$samples" --measure "$1" --tool "$2" --prefix "$3" --threads "$4" >/dev/null ||
		die "$1, $2: not measured"
}

# ---- measures ----------------------------------------------------------------

measure_s65k() {
	local rep tool
	say "65,535 hosts"
	for ((rep = 0; rep < sweep_reps; rep++)); do
		for tool in $(turn $rep max fping adaptive); do
			case $tool in
			max) sweep_once s65k 'netprobe --rate max' plain $some4 -- netprobe sweep -o plain --rate max $some4 ;;
			fping) sweep_once s65k fping fping $some4 -- fping -c1 -i0 -t1000 -g ${some4/-/ } ;;
			adaptive) sweep_once adaptive netprobe plain $some4 --limit 2m -- netprobe sweep -o plain $some4 ;;
			esac
		done
	done
}

measure_s1m() {
	local rep tool
	say "1,048,576 hosts"
	for ((rep = 0; rep < million_reps; rep++)); do
		for tool in $(turn $rep one plain two json); do
			case $tool in
			one) blast_once s1m 'yardstick, 1 thread' $all4 1 ;;
			two) blast_once s1m 'yardstick, 2 threads' $all4 2 ;;
			*) sweep_once s1m "netprobe -o $tool" $tool $all4 -- netprobe sweep -o $tool --rate max --broadcast $all4 ;;
			esac
		done
	done
}

measure_loss() {
	local rep
	say "5 % loss each way, every other /24 dead"
	lose_packets
	for ((rep = 0; rep < loss_runs; rep++)); do
		sweep_once loss netprobe plain "@$scratch/alive" --asked 131072 -- netprobe sweep -o plain --rate max -r 3 --broadcast $half4
	done
	keep_packets
}

measure_v6() {
	local rep tool
	say "65,536 hosts, IPv6 and IPv4, prefix and list"
	for ((rep = 0; rep < sweep_reps; rep++)); do
		for tool in $(turn $rep prefix6 prefix4 list6 list4 blast6 blast4); do
			case $tool in
			prefix6) sweep_once prefix6 'netprobe IPv6' plain $few6 -- netprobe sweep -o plain --rate max $few6 ;;
			prefix4) sweep_once prefix6 'netprobe IPv4' plain $few4 -- netprobe sweep -o plain --rate max --broadcast $few4 ;;
			list6) sweep_once list6 'netprobe IPv6' plain $few6 -- netprobe sweep -o plain --rate max -f "$scratch/list6" ;;
			list4) sweep_once list6 'netprobe IPv4' plain $few4 -- netprobe sweep -o plain --rate max -f "$scratch/list4" ;;
			blast6) blast_once prefix6 'yardstick IPv6' $few6 1 ;;
			blast4) blast_once prefix6 'yardstick IPv4' $few4 1 ;;
			esac
		done
	done
}

measure_dark() {
	local rep
	say "20,000 silent hosts"
	for ((rep = 0; rep < dark_reps; rep++)); do
		sweep_once dark netprobe plain '' --asked 20000 --interface wire --note 'expected 5.5 s: 40,000 packets at 10,000/s, then 1.5 s' -- \
			netprobe sweep -o plain --rate 10000 -r 1 $dark_range
	done
}
