# The part of run.sh that compares trace with traceroute, mtr and scamper, in
# networks of netprobe lab, which are described in topologies/.
#
# Every run of a tool has a network of its own: no limit of a router is used up,
# and what the lab needs to start and end is not measured. gauge runs inside.

trace_packages=(traceroute:traceroute mtr:mtr-tiny scamper:scamper)
trace_measures=(all silent firewalled slow many wide limited peers)

readonly target=203.0.113.20

trace_setup() {
	rounds=10 few=5 fewest=2
	[[ -z $quick ]] || rounds=2 few=1 fewest=1
	local i
	for i in {1..250}; do echo 198.51.100.$i 203.0.113.$i; done | tr ' ' '\n' >"$scratch/targets"
	queue=()
}

trace_cleanup() { :; } # a network ends with its command

trace_peers() {
	echo "$(traceroute --version 2>&1 | sed -n 's/^Modern //p'), $(mtr --version), $(scamper -v 2>&1 | head -1)"
}

trace_text() {
	cat <<-'TEXT'
		The tools ran in turn, in changing order, each time in a new network of `netprobe lab` (bench/topologies), which
		shares the cores with them. netprobe sends three probes per hop unless the row says otherwise; so does
		`traceroute -n`, and all others send one. "Whole command" is from exec to exit. "After the first packet" leaves
		out what comes before the first packet on the wire: the start of the program. All that a tool
		prints is compared with the description of the network: missing hops, and addresses that are not at that
		distance, are counted. Hops are said to be lossy if they show loss and nothing says that they limit
		their answers. RTT error is the time printed minus the delays of the network, and has what the simulator adds.
		Peers that take long ran once, side by side, at the end.
	TEXT
}

# ---- one run -----------------------------------------------------------------

# trace_once MEASURE NETWORK TOOL FORMAT COMMAND...
# In the command @ stands for the target, @@ for the file of all targets and
# @@args for all targets as arguments. FORMAT is what gauge reads. Measures named
# wide are of tools that look for all paths.
trace_once() {
	local network=$here/topologies/$2.yaml options=(--target $target) command=() word
	for word in "${@:5}"; do
		case $word in
		netprobe) word=$scratch/netprobe ;;
		@) word=$target ;;
		@@) word=$scratch/targets; options=(--targets "$word") ;;
		@@args) command+=($(<"$scratch/targets")); options=(--targets "$scratch/targets"); continue ;;
		esac
		command+=("$word")
	done
	[[ $1 != wide* ]] || options+=(--paths)
	"$scratch/netprobe" lab -q -t "$network" -- "$scratch/gauge" path --samples "$samples" --topology "$network" \
		--measure "$1" --tool "$3" --format "$4" "${options[@]}" -- "${command[@]}" ||
		die "$1, $3: not measured"
}

# in_turn N FUNCTION...: call the functions N times, in changing order.
in_turn() {
	local n tool
	for ((n = 0; n < $1; n++)); do
		for tool in $(turn $n "${@:2}"); do "$tool"; done
	done
}

# later COMMAND...: have measure_peers run it.
later() { [[ -n $quick ]] || queue+=("$(printf '%q ' trace_once "$@")"); }

# ---- measures ----------------------------------------------------------------

# Functions for in_turn; measure and network are those of their caller.
netprobe_n() { trace_once $measure $network netprobe classic netprobe trace -n @; }
traceroute_fast() { trace_once $measure $network 'traceroute -N 64 -q 1' classic traceroute -n -N 64 -q 1 @; }
traceroute_n() { trace_once $measure $network 'traceroute' classic traceroute -n @; }
mtr_fast() { trace_once $measure $network 'mtr -c 1 -i 0.1 -G 1' mtr mtr -n -r -c 1 -i 0.1 -G 1 @; }
scamper_one() { trace_once $measure $network scamper classic scamper -c trace -i @; }

measure_all() {
	local measure=all network=hops20
	say "20 hops, all answer"
	in_turn $rounds netprobe_n traceroute_fast traceroute_n mtr_fast scamper_one
}

measure_silent() {
	local measure=silent network=silent3
	say "three silent hops"
	in_turn $rounds netprobe_n traceroute_fast traceroute_n mtr_fast
	later silent silent3 scamper classic scamper -c trace -i @
	later silent silent3 'scamper -N 4 -w 1 -p 1000' classic scamper -p 1000 -c 'trace -N 4 -w 1' -i @
}

measure_firewalled() {
	local measure=firewalled network=firewalled
	say "target firewalled"
	in_turn $rounds netprobe_n
	later firewalled firewalled 'traceroute -N 64 -q 1' classic traceroute -n -N 64 -q 1 @
	later firewalled firewalled 'traceroute' classic traceroute -n @
	later firewalled firewalled 'mtr -c 1 -i 0.1 -G 1' mtr mtr -n -r -c 1 -i 0.1 -G 1 @
	later firewalled firewalled scamper classic scamper -c trace -i @
	later firewalled firewalled 'scamper -N 4 -w 1 -p 1000' classic scamper -p 1000 -c 'trace -N 4 -w 1' -i @
}

measure_slow() {
	local measure=slow network=slow
	say "slow hops"
	in_turn $few netprobe_n traceroute_n mtr_fast scamper_one
}

many_netprobe() { trace_once many targets500 'netprobe -c 1' netprobe netprobe trace -n --json -c 1 --rate 10000 @@args; }
many_scamper() { trace_once many targets500 scamper scamper scamper -O json -p 10000 -c trace -f @@; }

measure_many() {
	say "500 targets"
	in_turn $few many_netprobe many_scamper
}

wide4() { trace_once wide4 diamond4 'netprobe --paths' netprobe netprobe trace -n --json --paths @; }
wide16() { trace_once wide16 diamond16 'netprobe --paths' netprobe netprobe trace -n --json --paths @; }

measure_wide() {
	local network
	say "all paths"
	in_turn $((2 * rounds)) wide4 wide16
	# With its default of four probes a second the wider one would take 100 s.
	later wide4 diamond4 'scamper tracelb' tracelb scamper -p 1000 -c 'tracelb -P icmp-echo' -i @
	for network in diamond4 diamond16; do
		later ${network/diamond/wide} $network 'scamper tracelb -W 15' tracelb scamper -p 1000 -c 'tracelb -P icmp-echo -W 15' -i @
	done
}

measure_limited() {
	say "hops limited to 1/s"
	in_turn $fewest limited_netprobe
	later limited limited 'mtr -c 20 -i 0.1' mtr mtr -n -r -c 20 -i 0.1 @
	later limited limited 'traceroute -q 10' classic traceroute -n -q 10 @
}
limited_netprobe() { trace_once limited limited 'netprobe -c 10' netprobe netprobe trace -n --json -c 10 --verdict @; }

# measure_peers runs those that take long, all at once: they only wait.
measure_peers() {
	((${#queue[@]})) || return 0
	local line all=()
	say "slow peers, ${#queue[@]} at once"
	for line in "${queue[@]}"; do
		(eval "$line") &
		all+=($!)
	done
	pids+=("${all[@]}")
	for line in "${all[@]}"; do wait "$line" || die "a peer was not measured"; done
	pids=()
}
