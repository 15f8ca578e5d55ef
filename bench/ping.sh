# The part of run.sh that compares ping with iputils-ping and fping, between two
# network namespaces of its own with a real kernel at the far end.

ping_packages=(fping:fping ping:iputils-ping ip:iproute2 hyperfine:hyperfine jq:jq taskset:util-linux)
ping_measures=(rtt cpu pace start size flood)

readonly far=192.0.2.2                 # the far kernel
readonly near_ns=npbench-$$-near far_ns=npbench-$$-far
readonly group=npbench-$$              # control group with a CPU quota
quota_dir=                             # empty: no quota possible

ping_setup() {
	if [[ -n $quick ]]; then
		reps=1 pairs=1 probes=400 seconds=5
	else
		reps=3 pairs=3 probes=400 seconds=20
	fi
	make_network
	make_quota
}

ping_cleanup() {
	ip netns del "$near_ns" 2>/dev/null
	ip netns del "$far_ns" 2>/dev/null
	[[ -n $quota_dir ]] && rmdir "$quota_dir"
}

ping_peers() { echo "$(fping --version | head -1), $(ping -V | head -1)"; }

ping_text() {
	cat <<-'TEXT'
		netprobe and its peers ran in turn, in changing order, between two network namespaces joined by a veth pair,
		the Linux kernel answering at the far end.

		RTT error is the round-trip time a tool prints minus the time between the same request and reply in a capture
		at the prober's interface; 10 ms between probes; the table shows its size, `bias` is the median with its sign.
		ping and fping print such times to 1 µs. RTT on the wire is that of the capture: a tool that delays its own
		packets shows there. "Busy" is one busy loop on each core, "quota" a control group that
		may use 20 % of one core and shares it with a busy loop. CPU is user and system time of the whole process,
		start included; the 1,000 targets are 500 addresses named twice.
	TEXT
}

near() { ip netns exec "$near_ns" "$@"; }

# make_network builds near --veth-- far. The far end answers for every address of
# two prefixes as its own.
make_network() {
	ip netns add "$near_ns"
	ip netns add "$far_ns"
	ip -n "$near_ns" link add wire type veth peer name wire netns "$far_ns"
	ip -n "$near_ns" addr add 192.0.2.1/24 dev wire
	ip -n "$far_ns" addr add $far/24 dev wire
	local ns prefix
	for ns in "$near_ns" "$far_ns"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set wire up
	done
	for prefix in 198.51.100.0/24 203.0.113.0/24; do
		ip -n "$far_ns" route add local $prefix dev lo
		ip -n "$near_ns" route add $prefix via $far
	done
	near sysctl -qw net.ipv4.ping_group_range="0 2147483647"
	near ping -qc 2 -i .2 $far >/dev/null || die "the far namespace does not answer"
}

# make_quota makes a control group that may use a fifth of one core.
make_quota() {
	local root
	if [[ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]]; then
		mkdir "/sys/fs/cgroup/cpu/$group" || return 0
		quota_dir=/sys/fs/cgroup/cpu/$group
		echo 100000 >$quota_dir/cpu.cfs_period_us
		echo 20000 >$quota_dir/cpu.cfs_quota_us
		return
	fi
	root=$(findmnt -nro TARGET -t cgroup2 | head -1)
	[[ -n $root ]] && grep -qw cpu "$root/cgroup.controllers" || return 0
	echo +cpu >"$root/cgroup.subtree_control" 2>/dev/null || return 0
	mkdir "$root/$group" || return 0
	quota_dir=$root/$group
	echo "20000 100000" >$quota_dir/cpu.max
}

# ---- load --------------------------------------------------------------------

spin='while ((SECONDS < 300)); do :; done' # ends by itself, should all else fail

# load_cores keeps every core busy until drop_load.
load_cores() {
	local cpu
	burners=()
	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		setpriv --pdeathsig KILL taskset -c "$cpu" bash -c "$spin" &
		burners+=($!)
	done
	pids+=("${burners[@]}")
}

# load_quota keeps a busy loop inside the control group until drop_load.
load_quota() {
	in_quota setpriv --pdeathsig KILL bash -c "$spin" &
	burners=($!)
	pids+=($!)
}

drop_load() {
	local pid
	for pid in "${burners[@]}"; do forget "$pid" || true; done # killed
}

# in_quota CMD...: run it inside the control group.
in_quota() { exec bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$quota_dir" "$@"; }

# ---- capture -----------------------------------------------------------------

# capture_on FILE: write each packet as it passes the near interface.
tap=
capture_on() {
	local i
	: >"$scratch/tap"
	# exec: the signal that ends it must reach gauge itself, not a shell.
	(exec ip netns exec "$near_ns" "$scratch/gauge" capture --interface wire --pcap "$1" >"$scratch/tap" 2>&1) &
	tap=$!
	pids+=($tap)
	for ((i = 0; i < 100; i++)); do
		grep -q ready "$scratch/tap" && return
		sleep .05
	done
	die "no capture: $(cat "$scratch/tap")"
}

capture_off() {
	sleep .1
	forget "$tap" || die "$(tail -1 "$scratch/tap")"
}

# ---- measures ----------------------------------------------------------------

# echo_command TOOL COUNT: set command to COUNT probes, 10 ms apart, a line for each.
echo_command() {
	case $1 in
	'netprobe raw') command=("$scratch/netprobe" ping --json --socket raw) ;;
	'netprobe dgram') command=("$scratch/netprobe" ping --json --socket dgram) ;;
	ping) command=(ping -n) ;;
	fping) command=(fping -p 10 -c "$2" $far); return ;;
	esac
	command+=(-c "$2" -i 0.01 $far)
}

# rtt_once MEASURE TOOL COUNT [WRAPPER]
rtt_once() {
	local command runner=(near) wire=
	[[ $1 != rtt-idle ]] || wire=wire-idle
	echo_command "$2" "$3"
	[[ -z ${4-} ]] || runner=("$4" ip netns exec "$near_ns")
	capture_on "$scratch/rtt.pcap"
	("${runner[@]}" timeout 60 "${command[@]}") >"$scratch/rtt.out" 2>"$scratch/rtt.err" || true
	capture_off
	gauge rtt --measure "$1" --tool "$2" --probes "$3" --pcap "$scratch/rtt.pcap" --output "$scratch/rtt.out" --wire "$wire" ||
		die "$1, $2: $(head -3 "$scratch/rtt.err")"
}

# rtt_errors LOAD: each tool, some times over, under one kind of load.
rtt_errors() {
	local rep tool
	say "RTT error against the capture: $1"
	for ((rep = 0; rep < reps; rep++)); do
		while read -r tool <&3; do
			case $1 in
			idle) rtt_once rtt-idle "$tool" $probes ;;
			busy) load_cores; rtt_once rtt-busy "$tool" $probes; drop_load ;;
			quota) load_quota; rtt_once rtt-quota "$tool" $probes in_quota; drop_load ;;
			esac
		done 3< <(turn $rep 'netprobe raw' 'netprobe dgram' ping fping)
	done
}

measure_rtt() {
	rtt_errors idle
	rtt_errors busy
	if [[ -n $quota_dir ]]; then
		rtt_errors quota
	else
		gauge add --measure rtt-quota --tool netprobe --note "no control group with a CPU quota can be made here"
	fi
}

# measure_cpu probes 1,000 targets once a second: 500 addresses, each named twice,
# since the prefixes reserved for documentation have no 1,000; both tools treat
# every name as a target of its own.
measure_cpu() {
	local rep tool targets command
	say "CPU and memory: 1,000 targets for $seconds s"
	targets=($(for i in {1..250}; do echo 198.51.100.$i 203.0.113.$i; done))
	targets+=("${targets[@]}")
	for ((rep = 0; rep < pairs; rep++)); do
		for tool in $(turn $rep netprobe fping); do
			case $tool in
			netprobe) command=("$scratch/netprobe" ping -q -c "$seconds" -i 1) ;;
			fping) command=(fping -q -c "$seconds" -p 1000 -i 1) ;;
			esac
			local before=$(sent)
			near "$scratch/gauge" run --samples "$samples" --tool "$tool" --probes $((1000 * seconds)) --peak \
				"${command[@]}" "${targets[@]}" >"$scratch/cpu.out" 2>&1 || die "cpu, $tool: $(tail -1 "$scratch/cpu.out")"
			(($(sent) - before >= 1000 * seconds)) || die "cpu, $tool: sent $(($(sent) - before)) packets, not $((1000 * seconds))"
		done
	done
}

sent() { ip -n "$near_ns" -s -j link show wire | jq '.[0].stats64.tx.packets'; }

measure_pace() {
	local rep tool tools=(netprobe fping ping) command
	[[ -z $quick ]] || tools=(netprobe)
	say "pace: 1,000 probes 10 ms apart"
	for ((rep = 0; rep < pairs; rep++)); do
		for tool in $(turn $rep "${tools[@]}"); do
			echo_command "${tool/netprobe/netprobe raw}" 1000
			capture_on "$scratch/pace.pcap"
			near "$scratch/gauge" run --samples "$samples" --measure pace-wall --tool $tool --wall \
				"${command[@]}" &>"$scratch/pace.out" || die "pace, $tool: $(tail -1 "$scratch/pace.out")"
			capture_off
			gauge gaps --measure pace-gap --tool $tool --probes 1000 --pcap "$scratch/pace.pcap"
		done
	done
}

# measure_start notes the instant just before exec; the shell that notes it
# becomes the tool.
measure_start() {
	local rep tool command
	say "start: exec to first packet, whole command"
	capture_on "$scratch/start.pcap"
	for ((rep = 0; rep < 25; rep++)); do
		for tool in $(turn $rep netprobe ping fping); do
			start_command $tool
			near bash -c 'echo "$EPOCHREALTIME $0" >>"$1"; exec "${@:2}"' $tool "$scratch/starts" "${command[@]}" &>"$scratch/start.out" ||
				die "start, $tool: $(tail -1 "$scratch/start.out")"
		done
	done
	capture_off
	gauge start --measure start --pcap "$scratch/start.pcap" --starts "$scratch/starts"
	for tool in netprobe ping fping; do
		start_command $tool
		near hyperfine -N --style none --warmup 2 --runs 20 --export-json "$scratch/whole.json" "${command[*]}" &>/dev/null
		gauge add --measure whole --tool $tool $(jq '.results[0].times[] * 1000' "$scratch/whole.json")
	done
}

start_command() {
	case $1 in
	netprobe) command=("$scratch/netprobe" ping -c 1 $far) ;;
	ping) command=(ping -n -c 1 $far) ;;
	fping) command=(fping -c 1 -q $far) ;;
	esac
}

measure_size() {
	gauge add --measure size --tool netprobe "$(stat -c %s "$scratch/netprobe" | jq '. / 1e6')"
}

# measure_flood counts at the interface, for no two tools count alike.
measure_flood() {
	local rep tool command before
	say "flood: 3 s each"
	for ((rep = 0; rep < pairs; rep++)); do
		for tool in $(turn $rep netprobe ping); do
			case $tool in
			netprobe) command=("$scratch/netprobe" ping) ;;
			ping) command=(ping) ;;
			esac
			before=$(sent)
			near timeout 20 "${command[@]}" -f -q -w 3 $far >/dev/null
			gauge add --measure flood --tool $tool $((($(sent) - before) / 3))
		done
	done
}
