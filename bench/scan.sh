# The part of run.sh that compares scan with nmap, masscan and netcat, between two
# network namespaces of its own. The kernel of the far one answers for all hosts,
# and refuses every port at which gauge does not listen.

scan_packages=(nmap:nmap masscan:masscan nc:netcat-openbsd ip:iproute2 nft:nftables)
scan_measures=(connect syn drop lossy hosts limits large)

readonly scan_near=npbench-$$-scan-near scan_far=npbench-$$-scan-far

# The hosts and their open ports. All is refused that is not named here.
readonly refusing=10.1.0.1 refusing_open=22,53,80,443,853,1433,3306,5432,6379,6443,8080,9090,9200,11211,27017,50051,65535
readonly dropping=10.1.0.2 dropping_open=22,80,143,443,993
readonly losing=10.1.0.3 losing_open=22,53,80,110,143,199,259,311,389,443,465,512,587,636,721,801,873,902,990,995
readonly routed24=198.51.100 link24=203.0.113    # /24s of which every fourth host is there
readonly some_ports=21,22,23,25,53,80,110,111,135,139,143,443,445,993,995,3306,3389,5432,8080,8443
readonly some_open=22,80 few_open=443            # at all that are there, and at every other one of them
readonly large16=10.16.0.0/16 large_some=10.16.7.0/26 # all are there, some have open ports

scan_setup() {
	scan_reps=20 peer_every=2 beside=3 slow_reps=5 hosts_reps=3
	[[ -z $quick ]] || scan_reps=2 peer_every=2 beside=1 slow_reps=1 hosts_reps=1
	make_scanned
	open_doors
}

scan_cleanup() {
	ip netns del "$scan_near" 2>/dev/null
	ip netns del "$scan_far" 2>/dev/null
}

scan_peers() {
	echo "$(nmap --version | sed -n 's/^Nmap version \([^ ]*\).*/nmap \1/p'), masscan $(masscan --version | sed -n 's/^Masscan version \([^ ]*\).*/\1/p')," \
		"netcat-openbsd $(dpkg-query -W -f '${Version}' netcat-openbsd 2>/dev/null)"
}

scan_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, between two network namespaces joined by a veth pair. The kernel at the
		far end is every host that is scanned: it refuses, and a plain server (`gauge listen`) accepts and closes at the ports
		that are open. It answers inside the system call that sends, so its work counts as CPU time of the prober, and
		accepting shares the cores with it. All tools write to a file, which is compared with the list of open ports: ports
		missed, named though they are not open, and named twice count, and so does an exit code other than 0. "Whole
		command" is from exec to exit. Peak memory is the resident set, looked at every 20 ms, 1 MB = 10^6 bytes.

		masscan asks each port once and does not know how fast it may; its rate was given. It ends when a packet
		comes after its wait is over: one every 0.2 s was sent to it. nc asks one port after the other.

		Silent ports are dropped by the far end (nftables). Loss is random (nftables), 10 % of the packets in either
		direction, those of connections too. nmap has its default timing there, for -T5 gives up ports sooner.

		In the /24s 63 of 254 hosts are there, each with 20 ports asked and two or three open; for the others a router
		drops silently, or nobody answers on the link, whose neighbour tables were emptied before each run. "-Pn"
		asks all of them, as netprobe does unless told `--alive`; "the alive alone" is by what both tools
		find alive first. Where 1,000 local ports and 64 descriptors were all there was, netprobe's records say what it
		knows of each port, and a port of which it knows nothing counts as wrong.

	TEXT
	echo '```text'
	printf '%s\n' "${scan_lines[@]}"
	echo '```'
}

# ---- network -----------------------------------------------------------------

in_scan_near() { ip netns exec "$scan_near" "$@"; }
in_scan_far() { ip netns exec "$scan_far" "$@"; }

# make_scanned builds near --veth-- far, and the hosts behind and beside far.
make_scanned() {
	local ns host
	ip netns add "$scan_near"
	ip netns add "$scan_far"
	ip -n "$scan_near" link add wire type veth peer name wire netns "$scan_far"
	ip -n "$scan_near" address add 192.0.2.1/24 dev wire
	ip -n "$scan_far" address add 192.0.2.2/24 dev wire
	for ns in "$scan_near" "$scan_far"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set wire up
	done
	for host in $refusing $dropping $losing $large16 $routed24.0/24; do ip -n "$scan_near" route add $host via 192.0.2.2; done
	ip -n "$scan_near" route add $link24.0/24 dev wire
	# What is not local vanishes without a word; on the link nobody answers for it.
	ip -n "$scan_far" route add blackhole $routed24.0/24
	for host in $refusing $dropping $losing $large16; do ip -n "$scan_far" route add local $host dev lo; done
	for ((host = 4; host < 255; host += 4)); do
		echo "route add local $routed24.$host dev lo"
		echo "route add local $link24.$host dev lo"
	done | ip -n "$scan_far" -batch -
	in_scan_far sysctl -qw net.ipv4.ip_forward=0 net.ipv4.tcp_syncookies=0 net.ipv4.tcp_max_syn_backlog=65536 net.core.somaxconn=65536
}

# listen_at HOSTS PORTS: accept there until the end.
listen_at() {
	local i
	: >"$scratch/listen"
	# exec: the signal that ends it must reach gauge itself, not a shell.
	(exec ip netns exec "$scan_far" "$scratch/gauge" listen --hosts "$1" --ports "$2" >"$scratch/listen" 2>&1) &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		grep -q ready "$scratch/listen" && return
		sleep .05
	done
	die "nobody listens at $1: $(cat "$scratch/listen")"
}

# every N PREFIX: the hosts N, 2N, ... of a /24, with commas between them.
every() {
	local host list=
	for ((host = $1; host < 255; host += $1)); do list+=,$2.$host; done
	echo "${list#,}"
}

# open_doors starts what listens.
open_doors() {
	listen_at $refusing $refusing_open
	listen_at $dropping $dropping_open
	listen_at $losing $losing_open
	listen_at "$(every 4 $routed24),$(every 4 $link24)" $some_open
	listen_at "$(every 8 $routed24),$(every 8 $link24)" $few_open
	listen_at $large_some $some_open
}

# drop_ports has the ports of one host that are not open be silent.
drop_ports() {
	in_scan_far nft "add table ip doors; add chain ip doors in { type filter hook prerouting priority -300; }; \
		add rule ip doors in ip daddr $dropping tcp dport != { $dropping_open } drop"
}

# lose_some has one in ten packets vanish in either direction, to and from one host.
lose_some() {
	in_scan_near nft "add table ip doors; add chain ip doors in { type filter hook prerouting priority -300; }; \
		add rule ip doors in ip saddr $losing numgen random mod 100 < 10 drop"
	in_scan_far nft "add table ip doors; add chain ip doors in { type filter hook prerouting priority -300; }; \
		add rule ip doors in ip daddr $losing numgen random mod 100 < 10 drop"
}

# ---- one run -----------------------------------------------------------------

scan_lines=() # the commands, for the report

# scan_once MEASURE TOOL FORMAT [OPTIONS OF GAUGE...] -- COMMAND...
# In the command, netprobe stands for the one that is measured.
scan_once() {
	local measure=$1 tool=$2 options=(--format "$3") command line known
	shift 3
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	command=("$@")
	line=${*/#"$scratch/"/}
	for known in "${scan_lines[@]}"; do [[ $known != "$line" ]] || line=; done
	[[ -z $line ]] || scan_lines+=("$line")
	[[ $1 != netprobe ]] || command[0]=$scratch/netprobe
	in_scan_near "$scratch/gauge" scan --samples "$samples" --measure "$measure" --tool "$tool" --output "$scratch/scan.out" \
		--limit 3m "${options[@]}" -- "${scan_wrapper[@]}" "${command[@]}" 2>"$scratch/scan.err" ||
		die "$measure, $tool: $(tail -1 "$scratch/scan.err")"
}

scan_wrapper=() # what every command is run by

# chatter sends near a packet now and then, for half a minute at most.
chatter() {
	exec setpriv --pdeathsig KILL ip netns exec "$scan_far" bash -c 'for ((i = 0; i < 150; i++)); do echo >/dev/udp/192.0.2.1/9; sleep .2; done'
}

# masscan_once MEASURE OPTIONS OF GAUGE...
masscan_once() {
	local talker
	chatter &>/dev/null &
	talker=$!
	pids+=($talker)
	scan_once "$1" masscan list "${@:2}" -- masscan --rate 50000 --wait 1 -p1-65535 $refusing -oL - --interface wire \
		--adapter-ip 192.0.2.1 --router-mac "$(in_scan_far cat /sys/class/net/wire/address)"
	forget $talker || true # killed
}

# ---- measures ----------------------------------------------------------------

measure_connect() {
	local rep tool tools it=(--open $refusing=$refusing_open --asked 65535)
	say "65,535 ports, connect"
	for ((rep = 0; rep < scan_reps; rep++)); do
		tools=(netprobe)
		((rep % peer_every)) || tools+=(nmap)
		((rep > 0)) || tools+=(nc)
		for tool in $(turn $((rep / peer_every)) "${tools[@]}"); do
			case $tool in
			netprobe) scan_once connect netprobe plain "${it[@]}" -- netprobe scan -o plain -p- $refusing ;;
			nmap) scan_once connect 'nmap -sT' grepable "${it[@]}" -- nmap -sT -n -Pn -T5 -p- -oG - $refusing ;;
			nc) scan_once connect nc nc "${it[@]}" -- sh -c 'exec "$@" 2>&1' sh nc -z -v -n $refusing 1-65535 ;;
			esac
		done
	done
}

measure_syn() {
	local rep tool tools it=(--open $refusing=$refusing_open --asked 65535)
	say "65,535 ports, half-open"
	for ((rep = 0; rep < scan_reps; rep++)); do
		tools=(netprobe)
		((rep % peer_every)) || tools+=(nmap)
		((rep >= beside)) || tools+=(masscan)
		for tool in $(turn $((rep / peer_every)) "${tools[@]}"); do
			case $tool in
			netprobe) scan_once syn netprobe plain "${it[@]}" -- netprobe scan --syn -o plain -p- $refusing ;;
			nmap) scan_once syn 'nmap -sS' grepable "${it[@]}" -- nmap -sS -n -Pn -T5 -p- -oG - $refusing ;;
			masscan) masscan_once syn "${it[@]}" ;;
			esac
		done
	done
}

measure_drop() {
	local rep it=(--open $dropping=$dropping_open --asked 1000)
	say "1,000 ports of which 5 are open and the others silent"
	drop_ports
	for ((rep = 0; rep < slow_reps; rep++)); do
		scan_once drop netprobe plain "${it[@]}" -- netprobe scan -o plain -p 1-1000 $dropping
		scan_once drop 'netprobe --syn' plain "${it[@]}" -- netprobe scan --syn -o plain -p 1-1000 $dropping
	done
	if [[ -z $quick ]]; then
		scan_once drop 'nmap -sT' grepable "${it[@]}" -- nmap -sT -n -Pn -p 1-1000 -oG - $dropping
		scan_once drop 'nmap -sS' grepable "${it[@]}" -- nmap -sS -n -Pn -p 1-1000 -oG - $dropping
	fi
	in_scan_far nft delete table ip doors
}

measure_lossy() {
	local rep tool tools it=(--open $losing=$losing_open --asked 1000)
	say "10 % loss each way, 20 open of 1,000 ports"
	lose_some
	for ((rep = 0; rep < scan_reps; rep++)); do
		tools=(connect syn)
		((rep % (scan_reps / slow_reps))) || tools+=(nmap-sT nmap-sS)
		for tool in $(turn $((rep * slow_reps / scan_reps)) "${tools[@]}"); do
			case $tool in
			connect) scan_once lossyct netprobe plain "${it[@]}" -- netprobe scan -o plain -p 1-1000 $losing ;;
			syn) scan_once lossysyn netprobe plain "${it[@]}" -- netprobe scan --syn -o plain -p 1-1000 $losing ;;
			nmap-sT) scan_once lossyct 'nmap -sT' grepable "${it[@]}" -- nmap -sT -n -Pn -p 1-1000 -oG - $losing ;;
			nmap-sS) scan_once lossysyn 'nmap -sS' grepable "${it[@]}" -- nmap -sS -n -Pn -p 1-1000 -oG - $losing ;;
			esac
		done
	done
	in_scan_near nft delete table ip doors
	in_scan_far nft delete table ip doors
}

# hosts_once MEASURE TOOL PREFIX COMMAND...: in the command, @ stands for the
# hosts of a /24 but the first and the last.
hosts_once() {
	local prefix=$3 command=() word truth=() format=grepable
	truth=(--open "$(every 4 $prefix)=$some_open" --open "$(every 8 $prefix)=$few_open" --asked $((254 * 20)))
	for word in "${@:4}"; do
		[[ $word != @ ]] || word=$prefix.1-254
		command+=("$word")
	done
	if [[ $4 == netprobe ]]; then
		format=plain command=("${command[@]/%$prefix.1-254/$prefix.1-$prefix.254}")
	fi
	ip -n "$scan_near" neighbour flush dev wire
	scan_once "$1" "$2" $format "${truth[@]}" -- "${command[@]}" -p $some_ports
}

measure_hosts() {
	local rep tool
	say "a /24 with 20 ports each, three quarters of the hosts absent"
	for ((rep = 0; rep < hosts_reps; rep++)); do
		for tool in $(turn $rep all nmap syn nmap-syn alive nmap-alive link nmap-link link-alive nmap-link-alive); do
			case $tool in
			all) hosts_once routed netprobe $routed24 netprobe scan -o plain @ ;;
			nmap) hosts_once routed 'nmap -sT -Pn' $routed24 nmap -sT -n -Pn -oG - @ ;;
			syn) hosts_once routedsyn netprobe $routed24 netprobe scan --syn -o plain @ ;;
			nmap-syn) hosts_once routedsyn 'nmap -sS -Pn' $routed24 nmap -sS -n -Pn -oG - @ ;;
			alive) hosts_once routedalive netprobe $routed24 netprobe scan --alive -o plain @ ;;
			nmap-alive) hosts_once routedalive 'nmap -sT' $routed24 nmap -sT -n -oG - @ ;;
			link) hosts_once link netprobe $link24 netprobe scan -o plain @ ;;
			nmap-link) hosts_once link 'nmap -sT -Pn' $link24 nmap -sT -n -Pn -oG - @ ;;
			link-alive) hosts_once linkalive netprobe $link24 netprobe scan --alive -o plain @ ;;
			nmap-link-alive) hosts_once linkalive 'nmap -sT' $link24 nmap -sT -n -oG - @ ;;
			esac
		done
	done
}

measure_limits() {
	local before range='32768 33767' it=(--open $refusing=$refusing_open --asked 65535) rep
	say "65,535 ports by 1,000 local ports and 64 descriptors"
	before=$(in_scan_near sysctl -n net.ipv4.ip_local_port_range)
	in_scan_near sysctl -qw net.ipv4.ip_local_port_range="$range"
	scan_wrapper=(bash -c 'ulimit -n 64; exec "$@"' bash)
	for ((rep = 0; rep < slow_reps; rep++)); do
		scan_once limits netprobe json "${it[@]}" -- netprobe scan --json -p- $refusing
	done
	scan_once limits 'nmap -sT' grepable "${it[@]}" -- nmap -sT -n -Pn -T5 -p- -oG - $refusing
	scan_wrapper=()
	in_scan_near sysctl -qw net.ipv4.ip_local_port_range="$before"
}

measure_large() {
	local it=(--open $large_some=$some_open --asked 655360)
	say "65,536 hosts, 10 ports each"
	scan_once large netprobe plain "${it[@]}" -- netprobe scan --broadcast -o plain -p 21-23,25,53,80,110,143,443,8080 $large16
	scan_once large 'netprobe --syn' plain "${it[@]}" -- netprobe scan --syn --broadcast -o plain -p 21-23,25,53,80,110,143,443,8080 $large16
}
