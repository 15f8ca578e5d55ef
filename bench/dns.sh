# The part of run.sh that measures dns against a capture, dig and dnsperf, in the
# network of the part ping. unbound answers at the far end.

dns_packages=(dnsperf:dnsperf dig:bind9-dnsutils unbound:unbound ip:iproute2 taskset:util-linux)
dns_measures=(query burst)

readonly name_servers=$(echo 198.51.100.{1..16})

dns_setup() {
	queries=400 query_reps=3 burst_reps=10
	[[ -z $quick ]] || queries=200 query_reps=1 burst_reps=2
	[[ -e /run/netns/$near_ns ]] || make_network
	serve_names
}

dns_cleanup() {
	ip netns del "$near_ns" 2>/dev/null
	ip netns del "$far_ns" 2>/dev/null
}

dns_peers() {
	echo "$(dig -v 2>&1 | head -1), dnsperf $(dnsperf -h 2>&1 | sed -n 's/.*Version //p' | head -1)," \
		"unbound $(unbound -V | sed -n 's/^Version //p') as the server"
}

dns_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, between two network namespaces joined by a veth pair; unbound answers
		at the far end, at 16 addresses, from local data.

		RTT error is the round-trip time a tool prints minus the time between the same query and answer in a capture at the
		prober's interface; the table shows its size, `bias` is the median with its sign. netprobe left 10 ms between
		queries, dig asks the next when one is answered and prints 1 µs. "Busy" is one busy loop on each core.

		10,000 queries are 625 names asked of 16 servers by netprobe, and 10,000 names asked of one of them by dnsperf, which
		can ask one alone, and by dig, which has no pace: it asks one after the other. CPU is user and system time of
		the whole command, start included; the server shares the cores. netprobe and dnsperf print totals; "all answers"
		is netprobe with a record of each.

	TEXT
	echo '```text'
	printf '%s\n' "${dns_lines[@]}"
	echo '```'
}

# ---- network -----------------------------------------------------------------

# serve_names starts the name server, and writes the names to ask it for.
serve_names() {
	local i address
	cat >"$scratch/unbound.conf" <<-CONF
		server:
		  directory: "$scratch"
		  chroot: ""
		  username: ""
		  pidfile: ""
		  use-syslog: no
		  do-daemonize: no
		  do-ip6: no
		  num-threads: 1
		  so-rcvbuf: 8m
		  so-sndbuf: 8m
		  access-control: 192.0.2.0/24 allow
		  local-zone: "example." redirect
		  local-data: "example. 300 IN A 192.0.2.7"
		$(printf '  interface: %s\n' $name_servers)
	CONF
	for ((i = 0; i < 625; i++)); do echo "n$i.example A"; done >"$scratch/names625"
	for ((i = 0; i < 10000; i++)); do echo "n$i.example A"; done >"$scratch/names10000"
	head -$queries "$scratch/names10000" >"$scratch/names"
	(exec ip netns exec "$far_ns" unbound -c "$scratch/unbound.conf" >"$scratch/unbound" 2>&1) &
	pids+=($!)
	for address in $name_servers; do
		for ((i = 0; i < 100; i++)); do
			near dig +short +tries=1 +time=1 @"$address" n.example 2>/dev/null | grep -q '^192\.0\.2\.7$' && continue 2
			sleep .05
		done
		die "no name server at $address: $(tail -1 "$scratch/unbound")"
	done
}

# ---- RTT ---------------------------------------------------------------------

dns_lines=() # the commands, for the report

# dns_noted COMMAND...: keep a command for the report, once.
dns_noted() {
	local known line=${*//"$scratch/"/}
	line=${line/@198.51.100.2 *@198.51.100.15 /... }
	for known in "${dns_lines[@]}"; do [[ $known != "$line" ]] || return 0; done
	dns_lines+=("$line")
}

# query_once LOAD TOOL
query_once() {
	local measure=query-$1 command wire= server=${name_servers%% *}
	[[ $1 != idle ]] || wire=query-wire
	case $2 in
	netprobe) command=(netprobe dns --json -c $queries -i 0.01 n.example @"$server") ;;
	dig) command=(dig -u +tries=1 @"$server" -f "$scratch/names") ;;
	esac
	dns_noted "${command[@]}"
	[[ $2 != netprobe ]] || command[0]=$scratch/netprobe
	capture_on "$scratch/dns.pcap"
	near timeout 60 "${command[@]}" >"$scratch/dns.out" 2>"$scratch/dns.err" || true
	capture_off
	gauge rtt --measure "$measure" --tool "$2" --probes $queries --pcap "$scratch/dns.pcap" --output "$scratch/dns.out" --wire "$wire" ||
		die "$measure, $2: $(head -3 "$scratch/dns.err")"
}

measure_query() {
	local rep tool load
	say "RTT error of queries against the capture"
	for load in idle busy; do
		[[ $load == idle ]] || load_cores
		for ((rep = 0; rep < query_reps; rep++)); do
			for tool in $(turn $rep netprobe dig); do query_once $load $tool; done
		done
		[[ $load == idle ]] || drop_load
	done
}

# ---- many queries ------------------------------------------------------------

# burst_once TOOL FORMAT COMMAND...
burst_once() {
	local command=("${@:3}")
	dns_noted "${command[@]}"
	[[ $3 != netprobe ]] || command[0]=$scratch/netprobe
	near "$scratch/gauge" queries --samples "$samples" --measure burst --tool "$1" --format "$2" --asked 10000 -- \
		"${command[@]}" 2>"$scratch/dns.err" || die "burst, $1: $(tail -1 "$scratch/dns.err")"
}

measure_burst() {
	local rep tool tools server=${name_servers%% *} all
	all=($(printf '@%s ' $name_servers))
	say "10,000 queries at 5,000/s"
	for ((rep = 0; rep < burst_reps; rep++)); do
		tools=(netprobe dnsperf records)
		((rep > 0)) || tools+=(dig)
		for tool in $(turn $rep "${tools[@]}"); do
			case $tool in
			netprobe) burst_once netprobe json netprobe dns -q --json -f "$scratch/names625" --rate 5000 "${all[@]}" ;;
			records) burst_once 'all answers, by netprobe' json netprobe dns --json -f "$scratch/names625" --rate 5000 "${all[@]}" ;;
			dnsperf) burst_once dnsperf dnsperf dnsperf -e -s "$server" -d "$scratch/names10000" -n 1 -Q 5000 ;;
			dig) burst_once 'dig, one by one' dig dig -u +time=1 +tries=1 @"$server" -f "$scratch/names10000" ;;
			esac
		done
	done
}
