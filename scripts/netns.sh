# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by demo.sh and tests/net: a small network of namespaces that goes away with the script.
#
#	netns_begin demo                      a temporary directory, and traps that call netns_end
#	netns_add client; netns_add server    namespaces xfq-PID-client and xfq-PID-server
#	netns_link client:lan0 server:srv0 2  a veth pair with two queues
#	netns_exec client ping -c 1 192.0.2.1
#	netns_start server log httpd -f       in the background; its pid is in process_pid
#
# netns_end ends the processes started here and those in the namespaces made here, nothing else.
# Namespaces are entered by nsenter: `ip netns exec` would mount another /sys and hide bpffs.

PATH=$PATH:/usr/sbin:/sbin # ip, ethtool, sysctl, where root's PATH lacks them
netns_prefix=xfq-$$
netns_dir=
netns_list=()
process_list=()
process_pid=
process_status=0

# netns_begin TAG: make $netns_dir, and have everything taken down when the script ends
netns_begin() {
	trap netns_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	netns_dir=$(mktemp -d "${TMPDIR:-/tmp}/xfq-$1.XXXXXX")
	# others may pass through to the control sockets, and see nothing else
	chmod 711 "$netns_dir"
	export XFQ_RUN_DIR=$netns_dir/run
	mkdir -m 755 "$XFQ_RUN_DIR"
}

# netns_end: take everything down; keeps the exit status; a second call finds nothing to do
netns_end() {
	local status=$? name
	set +e
	trap '' HUP INT TERM
	processes_end "${process_list[@]}"
	for name in "${netns_list[@]}"; do
		netns_empty "$name"
		ip netns del "$name" 2>/dev/null
	done
	case $netns_dir in */xfq-*) rm -rf "$netns_dir" ;; esac
	process_list=() netns_list=() netns_dir=
	return "$status"
}

# netns_empty NAME: end what still runs in one of our namespaces
netns_empty() {
	local signal try pids
	for signal in TERM KILL; do
		for try in 1 2 3 4 5 6 7 8 9 10; do
			pids=$(ip netns pids "$1" 2>/dev/null)
			[ -z "$pids" ] && return 0
			# shellcheck disable=SC2086 # one pid per word
			[ "$try" -eq 1 ] && kill -s "$signal" $pids 2>/dev/null
			sleep 0.1
		done
	done
	return 0
}

# netns_add NAME
netns_add() {
	ip netns add "$netns_prefix-$1"
	netns_list+=("$netns_prefix-$1")
	ip -n "$netns_prefix-$1" link set lo up
}

# netns_exec NAME COMMAND...: in the foreground
netns_exec() {
	nsenter --net="/run/netns/$netns_prefix-$1" "${@:2}"
}

# netns_start NAME LOG COMMAND...: in the background, both outputs to the file LOG
netns_start() {
	nsenter --net="/run/netns/$netns_prefix-$1" "${@:3}" >"$2" 2>&1 &
	process_pid=$!
	process_list+=("$process_pid")
}

# netns_ip NAME ARGUMENTS...: ip, in that namespace
netns_ip() {
	ip -n "$netns_prefix-$1" "${@:2}"
}

# netns_silence NAME: no IPv6, so that interfaces without an address send nothing by themselves
netns_silence() {
	netns_exec "$1" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
}

# netns_link NAME:DEVICE NAME:DEVICE QUEUES: a veth pair, up, frames as they would be on a wire
netns_link() {
	local end
	ip link add name "${1#*:}" netns "$netns_prefix-${1%:*}" numtxqueues "$3" numrxqueues "$3" type veth \
		peer name "${2#*:}" netns "$netns_prefix-${2%:*}" numtxqueues "$3" numrxqueues "$3"
	for end in "$1" "$2"; do
		netns_offloads_off "${end%:*}" "${end#*:}"
		netns_ip "${end%:*}" link set dev "${end#*:}" up
	done
}

# netns_offloads_off NAME DEVICE: no segments larger than the MTU, checksums done, tags in the frame
netns_offloads_off() {
	local feature
	for feature in txvlan rxvlan tx rx tso gso gro; do
		netns_exec "$1" ethtool -K "$2" "$feature" off >/dev/null 2>&1 || true
	done
}

# netns_counter NAME DEVICE KEY: of the interface's statistics, such as tx.dropped
netns_counter() {
	netns_ip "$1" -s -j link show dev "$2" | jq ".[0].stats64.$3"
}

# switch_create NAME: a bridge br0 that learns nothing, so that every frame goes to every port
switch_create() {
	netns_add "$1"
	netns_silence "$1"
	netns_ip "$1" link add br0 type bridge ageing_time 0 mcast_snooping 0 stp_state 0
	netns_ip "$1" link set br0 up
}

# switch_plug NAME DEVICE, switch_unplug NAME DEVICE: make a device a port of the bridge, or not
switch_plug() {
	netns_ip "$1" link set dev "$2" master br0
}

switch_unplug() {
	netns_ip "$1" link set dev "$2" nomaster
}

# process_alive PID, process_ended PID: a process this shell started
process_alive() {
	[[ " $(jobs -pr | tr '\n' ' ') " == *" $1 "* ]]
}

process_ended() {
	! process_alive "$1"
}

# process_wait PID SECONDS: wait for its end; false if it still runs; else process_status is set
process_wait() {
	wait_until "$2" process_ended "$1" || return 1
	process_status=0
	wait "$1" || process_status=$?
}

# process_stop PID [SIGNAL [SECONDS]]: ask it to end; false if it had to be killed
process_stop() {
	process_alive "$1" && kill -s "${2:-TERM}" "$1" 2>/dev/null
	process_wait "$1" "${3:-10}" && return 0
	kill -s KILL "$1" 2>/dev/null || true
	process_wait "$1" 5 || true
	return 1
}

# processes_end PID...: ask all, then wait for all
processes_end() {
	local pid
	for pid in "$@"; do
		process_alive "$pid" && kill -s TERM "$pid" 2>/dev/null
	done
	for pid in "$@"; do
		process_alive "$pid" || continue
		process_stop "$pid" TERM 5
	done
	return 0
}

# wait_until SECONDS COMMAND...: try it until it holds; false when the time is over
wait_until() {
	local end=$((SECONDS + $1 + 1))
	until "${@:2}"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# capture_start NAME DEVICE FILE [EXPRESSION]: count on the wire, from the return of this on what
# leaves through DEVICE; FILE.log is what tcpdump says; its pid is in process_pid
capture_start() {
	netns_start "$1" "$3.log" tcpdump -i "$2" -Q out -n -p -s 256 -B 65536 --immediate-mode -Z root \
		-w "$3" "${@:4}"
	wait_until 10 grep -qs 'listening on' "$3.log" && return 0
	echo "tcpdump did not start on $2:" >&2
	cat "$3.log" >&2
	return 1
}

# capture_stop PID FILE: after the last frame; false if the kernel lost frames on tcpdump's way
capture_stop() {
	sleep 1
	process_stop "$1" TERM
	grep -q '^0 packets dropped by kernel' "$2.log" && return 0
	echo "tcpdump did not see every frame:" >&2
	cat "$2.log" >&2
	return 1
}

# xfq_start NAME CONFIG TAG [OPTION...]: run $XFQ_BIN until xfq_stop, its output in $netns_dir/TAG.out
# and TAG.err; returns at once; its pid is in process_pid
xfq_start() {
	nsenter --net="/run/netns/$netns_prefix-$1" "$XFQ_BIN" run "$2" "${@:4}" \
		>"$netns_dir/$3.out" 2>"$netns_dir/$3.err" &
	process_pid=$!
	process_list+=("$process_pid")
}

# xfq_ready PID INSTANCE [SECONDS]: wait until it answers; false if it ended or does not come up
xfq_ready() {
	wait_until "${3:-20}" xfq_up_or_ended "$1" "$2" && process_alive "$1"
}

xfq_up_or_ended() {
	process_ended "$1" || { [ -S "$XFQ_RUN_DIR/$2.sock" ] &&
		timeout 5 "$XFQ_BIN" status "$2" --json >/dev/null 2>&1; }
}

# For tests: end with one line that says why.
test_fail() {
	echo "failed: $*"
	exit 1
}

test_skip() {
	echo "skipped: $*"
	exit 77
}

# test_needs COMMAND...: skip unless root may make namespaces and the commands are there
test_needs() {
	local command
	[ "$(id -u)" -eq 0 ] || test_skip "needs root"
	for command in ip ethtool nsenter jq "$@"; do
		command -v "$command" >/dev/null || test_skip "needs $command"
	done
	[ -x "${XFQ_BIN:-}" ] || test_fail "XFQ_BIN names no program"
	ip netns add "$netns_prefix-probe" 2>/dev/null || test_skip "cannot make network namespaces"
	ip netns del "$netns_prefix-probe"
}

# test_show TAG: what an instance printed, for whoever reads a failure
test_show() {
	sed 's/^/  | /' "$netns_dir/$1.err" "$netns_dir/$1.out"
}
