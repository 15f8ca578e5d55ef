#!/bin/bash
# Compares netprobe with its peers, all in the same run, on networks of its own.
#
#   bench/run.sh [PART...] [--quick] [--write] [--no-fail] [--only LIST] [--binary FILE]
#
#   ping           against iputils-ping and fping, about 8 min
#   trace          against traceroute, mtr and scamper, less than 5 min
#   sweep          against fping and the plainest loop, less than 6 min
#   scan           against nmap, masscan and netcat, less than 12 min
#   tcp            against a capture, and nping, less than 2 min
#   udp            against nmap, about 23 min, of which told takes 20
#   dns            against a capture, dig and dnsperf, less than 3 min
#                  (no PART: all of them)
#   --quick        one repetition and no peers where they only cost time
#   --write        write the sections of these parts in bench/RESULTS.md
#   --no-fail      exit 0 even if a target is missed
#   --only LIST    some measures of a part (comma-separated), of ping:
#                  rtt,cpu,pace,start,size,flood; of trace:
#                  all,silent,firewalled,slow,many,wide,limited; of sweep:
#                  s65k,s1m,loss,v6,dark; of scan:
#                  connect,syn,drop,lossy,hosts,limits,large; of tcp: handshake;
#                  of udp: lifted,services,told; of dns: query,burst
#   --binary FILE  measure this netprobe instead of building one
#
# Needs root, Go, and Debian packages that it names if they are missing.
# Sends nothing outside its namespaces, which have no route out, and removes
# them at the end. Exit code: 0 all targets reached, 1 one was missed, 2 wrong
# usage, 3 could not measure.
set -euo pipefail
export LC_ALL=C

readonly here=$(cd "$(dirname "$0")" && pwd)
readonly known_parts=(ping trace sweep scan tcp udp dns)

quick= write= fail=1 binary= only= parts=()
while (($#)); do
	case $1 in
	ping | trace | sweep | scan | tcp | udp | dns) parts+=("$1") ;;
	--quick) quick=1 ;;
	--write) write=1 ;;
	--no-fail) fail= ;;
	--only) only=${2:?--only takes a list}; shift ;;
	--binary) binary=${2:?--binary takes a file}; shift ;;
	-h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
	*) echo "run.sh: unknown argument $1" >&2; exit 2 ;;
	esac
	shift
done
((${#parts[@]})) || parts=("${known_parts[@]}")
[[ -z $binary ]] || binary=$(realpath "$binary")
# Every part has a file with PART_packages (program:package), PART_measures,
# PART_setup, PART_cleanup, PART_peers, PART_text and measure_NAME.
for part in "${known_parts[@]}"; do . "$here/$part.sh"; done

# ---- what must be there ------------------------------------------------------

die() { echo "run.sh: $1" >&2; exit 3; }
say() { echo "run.sh: $1" >&2; }

check_tools() {
	local missing= part pair
	for part in "${parts[@]}"; do
		local -n packages=${part}_packages
		for pair in "${packages[@]}"; do
			[[ $(type -P "${pair%%:*}") ]] || missing+=" ${pair##*:}"
		done
	done
	[[ -z $missing ]] || die "missing Debian packages: apt-get install$missing"
	[[ $(type -P go) ]] || die "missing: go"
	((EUID == 0)) || die "needs root: network namespaces, capture, CPU quota"
}

# check_only: each measure that was asked for is of one of the parts.
check_only() {
	local name part
	for name in ${only//,/ }; do
		for part in "${parts[@]}"; do
			local -n known=${part}_measures
			[[ " ${known[*]} " == *" $name "* ]] && continue 2
		done
		echo "run.sh: no measure $name in ${parts[*]}" >&2
		exit 2
	done
}

# ---- start and end -----------------------------------------------------------

scratch=
samples=       # of the part that runs
pids=()        # of background processes

# build makes netprobe as it is released, and gauge.
build() {
	cd "$here/.."
	go build -o "$scratch/gauge" ./bench/gauge || die "bench/gauge does not build"
	if [[ -n $binary ]]; then
		cp "$binary" "$scratch/netprobe"
	else
		CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$scratch/netprobe" ./cmd/netprobe ||
			die "netprobe does not build"
	fi
}

cleanup() {
	local pid part
	set +e
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	for part in "${parts[@]}"; do "${part}_cleanup"; done
	[[ -n $scratch ]] && rm -rf "$scratch"
}

# forget PID: end a background process of ours and wait for it. Its exit code is
# that of the process.
forget() {
	local left=() pid code=0
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || code=$?
	for pid in "${pids[@]}"; do [[ $pid == "$1" ]] || left+=("$pid"); done
	pids=("${left[@]}")
	return $code
}

gauge() { "$scratch/gauge" "$1" --samples "$samples" "${@:2}"; }

# turn N NAME...: print the names in an order that differs from one N to the next,
# so that no tool always runs first.
turn() {
	local names=("${@:2}") i
	for ((i = 0; i < ${#names[@]}; i++)); do echo "${names[($1 + i) % ${#names[@]}]}"; done
}

# ---- report ------------------------------------------------------------------

facts() {
	cat <<-FACTS
		- date: $(date -u '+%Y-%m-%d %H:%M UTC'), $((took / 60)) min $((took % 60)) s, load average before: $load
		- machine: $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), $(awk '/MemTotal/ {printf "%.0f", $2 / 1e6}' /proc/meminfo) GB memory, Linux $(uname -r)
		- netprobe: $(revision), $(go env GOVERSION)
		- peers: $("$1_peers")
	FACTS
}

# revision names what was measured.
revision() {
	[[ -z $binary ]] || { echo "a binary given by --binary"; return; }
	local changed=
	git -C "$here/.." diff --quiet HEAD -- . ':!bench/RESULTS.md' || changed=' with changes'
	echo "commit $(git -C "$here" rev-parse --short HEAD)$changed"
}

# section PART: what RESULTS.md says about a part that was measured now.
section() {
	printf '## %s\n\n' "$1"
	facts "$1"
	echo
	"$1_text"
	echo
	cat "$scratch/$1.table"
}

# results FILE: what RESULTS.md is to be; parts not measured now stay as they are.
results() {
	local part
	cat <<-'TEXT'
		# How netprobe compares

		Written by `bench/run.sh --write`, each section by its own run; do not edit. Quantiles are values that were
		measured (nearest rank): below 100 values p99 is the maximum.
	TEXT
	for part in "${known_parts[@]}"; do
		if [[ -e $scratch/$part.section ]]; then
			echo
			cat "$scratch/$part.section"
		else
			awk -v name="## $part" '/^## / {on = $0 == name} on {rows[++n] = $0}
				END {while (n && rows[n] == "") n--; if (n) print ""; for (i = 1; i <= n; i++) print rows[i]}' "$1"
		fi
	done
}

# ---- all of it ---------------------------------------------------------------

# run_part PART: measure, print the table, note whether a target was missed.
run_part() {
	local measure began=$SECONDS status=0 load took
	local -n list=$1_measures
	load=$(cut -d' ' -f1 /proc/loadavg)
	samples=$scratch/$1.samples
	: >"$samples"
	"$1_setup"
	for measure in "${list[@]}"; do
		[[ -z $only || ,$only, == *,$measure,* ]] || continue
		"measure_$measure"
	done
	took=$((SECONDS - began))
	gauge report >"$scratch/$1.table" || status=$?
	cat "$scratch/$1.table"
	((status == 0)) || worst=$((status > worst ? status : worst))
	[[ -z $write ]] || section "$1" >"$scratch/$1.section"
}

check_tools
check_only
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
scratch=$(mktemp -d)
build
worst=0
for part in "${parts[@]}"; do run_part "$part"; done
if [[ -n $write ]]; then
	results "$here/RESULTS.md" >"$scratch/RESULTS.md"
	cp "$scratch/RESULTS.md" "$here/RESULTS.md"
fi
((worst != 1)) || [[ -n $fail ]] || worst=0
exit $worst
