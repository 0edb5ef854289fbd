#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Shows XFQ at work on real servers and clients in network namespaces, and checks every sum.
#
#	             switch (a bridge that copies every frame to every port)
#	client lan0 ---+---+--- srv0 server          part 2: xfq run examples/guard.yaml on srv0
#	                   |
#	                   +--- mon0 monitor         part 1: xfq run examples/demo.yaml on mon0
#	                                             part 3: xfq run examples/share.yaml on mon0, and
#	                                                     three processes that join it
#	                                             part 4: xfq run examples/blocklist.yaml on srv0, its
#	                                                     rules and set changed while it runs
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/scripts/deps.sh"
. "$root/scripts/netns.sh"
. "$root/scripts/demo_check.sh"

usage() {
	cat <<'END'
usage: ./demo.sh                  build XFQ and show it at work on Debian 12, as root, in about a minute
       ./demo.sh --offline FILE   the same steering on a capture file; needs no root once XFQ is built

What is missing is installed with apt-get. Everything runs in network namespaces of its own, and
nothing of it remains: not the namespaces, nor a process, nor a file. The exit status is 0 if every
check held. XFQ_DEMO_BIN=PROGRAM takes that program and builds nothing.
END
}

# what the servers and the client are called; all of it is reserved for documentation
server4=192.0.2.1 server6=2001:db8:1::1
client4=192.0.2.10 client6=2001:db8:1::10
blocked4=203.0.113.66 blocked6=2001:db8:bad::66
zone=example.test
seconds=12 # of traffic in part 1

say() {
	printf '\n%s\n' "$*"
}

build() {
	XFQ_BIN=${XFQ_DEMO_BIN:-$root/build/release/apps/xfq}
	export XFQ_BIN
	[ -n "${XFQ_DEMO_BIN:-}" ] && return 0
	# whoever may not write here, or install what building needs, can use what is built
	if [ ! -w "$root" ] || ! deps_install "${deps_build[@]}"; then
		[ -x "$XFQ_BIN" ] && echo "taking the program that was built before: $XFQ_BIN" && return 0
		echo "XFQ is not built, and cannot be built here by this user" >&2
		return 1
	fi
	echo "building XFQ"
	(cd "$root" && cmake --preset release && cmake --build --preset release) >"$netns_dir/build.log" 2>&1 &&
		return 0
	cat "$netns_dir/build.log" >&2
	echo "the build failed" >&2
	return 1
}

topology_create() {
	local name
	for name in client server monitor; do
		netns_add "$name"
	done
	netns_silence monitor
	switch_create switch
	# A veth with several queues marks a packet with its queue, and the next port follows the mark.
	# One queue at the client leaves the choice to the flow, so that mon0 and srv0 see both queues.
	netns_link client:lan0 switch:client 1
	netns_link server:srv0 switch:server 2
	netns_link monitor:mon0 switch:mirror 2
	switch_plug switch client
	switch_plug switch server
	addresses_add client lan0 "$client4/24" "$blocked4/24" "$client6/64" "$blocked6/64"
	addresses_add server srv0 "$server4/24" "$server6/64"
	netns_ip server route add "${blocked4%.*}.0/24" dev srv0
	netns_ip server -6 route add "${blocked6%::*}::/64" dev srv0
}

# addresses_add NAME DEVICE ADDRESS...
addresses_add() {
	local address nodad
	for address in "${@:3}"; do
		nodad=
		case $address in *:*) nodad=nodad ;; esac
		netns_ip "$1" addr add "$address" dev "$2" $nodad
	done
}

servers_start() {
	local www=$netns_dir/www port
	mkdir "$www"
	head -c 50000 /dev/zero | tr '\0' x >"$www/page"
	netns_start server "$netns_dir/httpd.log" busybox httpd -f -p 80 -h "$www"
	netns_start server "$netns_dir/dnsmasq.log" dnsmasq --keep-in-foreground --log-facility=- --conf-file=/dev/null \
		--no-resolv --no-hosts --user=root --pid-file= --bind-interfaces --interface=srv0 --except-interface=lo \
		"--local=/$zone/" "--host-record=www.$zone,$server4,$server6" "--txt-record=text.$zone,steered"
	for port in 5201 5202; do
		netns_start server "$netns_dir/iperf$port.log" iperf3 -s -p "$port"
	done
	wait_until 10 servers_ready && return 0
	echo "the servers did not start:" >&2
	tail "$netns_dir"/*.log >&2
	return 1
}

servers_ready() {
	local listening port
	listening=$(netns_exec server ss -Hlntu)
	for port in 53 80 5201 5202; do
		[[ $listening == *":$port "* ]] || return 1
	done
}

# note WHO:TOOL COMMAND...: run it, and add a line to the results that says how it went
note() {
	local verdict=failed
	"${@:2}" >/dev/null 2>&1 && verdict=ok
	echo "$1 $verdict" >>"$netns_dir/results"
}

fetch() { # SOURCE SERVER
	netns_exec client curl --silent --fail --max-time 2 --interface "$1" "http://$2/page"
}

ask() { # SOURCE SERVER TYPE NAME ANSWER [OPTION]
	netns_exec client dig +short +time=1 +tries=1 ${6:+"$6"} -b "$1" "@$2" "$3" "$4.$zone" | grep -qF "$5"
}

reach() { # SOURCE SERVER
	netns_exec client ping -q -c 3 -i 0.2 -W 1 -I "$1" "$2" | grep -q ' 3 received'
}

# try_all WHO SOURCE4 SOURCE6: each tool over IPv4 and IPv6, all at the same time
try_all() (
	note "$1:curl" fetch "$2" "$server4" &
	note "$1:curl" fetch "$3" "[$server6]" &
	note "$1:dig" ask "$2" "$server4" A www "$server4" &
	note "$1:dig" ask "$3" "$server6" AAAA www "$server6" &
	note "$1:dig" ask "$2" "$server4" TXT text steered +tcp &
	note "$1:ping" reach "$2" "$server4" &
	note "$1:ping" reach "$3" "$server6" &
	wait
)

transfer() { # FILE OPTION...: a bulk transfer, complete
	netns_exec client iperf3 --json --time "$seconds" "${@:2}" >"$1"
	jq -e '(.end.sum_received.bytes // .end.sum.bytes) > 0 and (.end.sum.lost_packets // 0) == 0' "$1"
}

# noise: what the rules name besides the blocklist; nobody listens there
noise() {
	# shellcheck disable=SC2016 # $1 is the inner shell's
	netns_exec client bash -c 'echo >/dev/udp/$1/5353; echo >/dev/udp/$2/5353; : </dev/tcp/$1/22' \
		bash "$server4" "$server6" >/dev/null 2>&1 || true
}

# traffic: about $seconds of it
traffic() (
	note client:iperf3 transfer "$netns_dir/udp" -c "$server4" -p 5201 -u -b 8M -l 1000 -w 200K &
	note client:iperf3 transfer "$netns_dir/tcp" -c "$server6" -p 5202 -b 30M &
	for ((round = 0; round < seconds; round++)); do
		try_all client "$client4" "$client6"
		try_all blocked "$blocked4" "$blocked6"
		noise
	done
	wait
)

# check_results WHO ok|failed TEXT: a line for each tool; all of its tries must have gone so
check_results() {
	local tool tries count
	while read -r tool; do
		tries=$(grep -c "^$1:$tool " "$netns_dir/results" || true)
		count=$(grep -c "^$1:$tool $2\$" "$netns_dir/results" || true)
		check_equal "$tool" "$count" "$tries" "${3/TRIES/$tries}"
	done < <(sed -n "s/^$1:\([^ ]*\) .*/\1/p" "$netns_dir/results" | sort -u)
}

# xfq_show NAME CONFIG TAG: like xfq_start, but its live table is for the reader
xfq_show() {
	nsenter --net="/run/netns/$netns_prefix-$1" "$XFQ_BIN" run "$2" --json --live >"$netns_dir/$3.out" &
	process_pid=$!
	process_list+=("$process_pid")
}

# xfq_end PID TAG: stop it; says so if it did not end well
xfq_end() {
	process_stop "$1" TERM && [ "$process_status" -eq 0 ] && return 0
	echo "xfq did not end as it should (status $process_status)" >&2
	[ ! -f "$netns_dir/$2.err" ] || cat "$netns_dir/$2.err" >&2
	return 1
}

part_mirror() {
	local tcpdump xfq lost wire=$netns_dir/wire.pcap config=$root/examples/demo.yaml
	say "Part 1: a switch copies all it carries to mon0, and XFQ steers it by examples/demo.yaml"
	capture_start switch mirror "$wire"
	tcpdump=$process_pid
	xfq_show monitor "$config" mirror
	xfq=$process_pid
	xfq_ready "$xfq" demo || { echo "xfq did not start" >&2 && return 1; }
	lost=$(netns_counter switch mirror tx.dropped)
	# the mirror port is plugged in only now, and out again before anybody stops counting
	switch_plug switch mirror
	traffic
	sleep 1
	switch_unplug switch mirror
	capture_stop "$tcpdump" "$wire"
	xfq_end "$xfq" mirror
	lost=$(($(netns_counter switch mirror tx.dropped) - lost))
	say "what the servers' clients say"
	check_results client ok "answered and complete, of TRIES"
	check_results blocked ok "answered from the blocklist, of TRIES: only the copy is dropped"
	check_counts "$netns_dir/mirror.out" "$config" "$wire" "$lost"
}

# check_counts JSON CONFIG CAPTURE LOST
check_counts() {
	if [ "$(jq 'has("verdicts")' "$1")" != true ]; then
		check_line false json 0 'what xfq printed cannot be read'
		return 0
	fi
	say "what XFQ counted, and whether it adds up"
	check_sums "$1" "$(capture_count "$3")" "$4"
	say "each rule and each group, counted by tcpdump"
	check_tcpdump "$1" "$2" "$3" "$4"
}

part_guard() {
	local tcpdump xfq ping4 ping6 config=$root/examples/guard.yaml wire=$netns_dir/guard.pcap
	say "Part 2: XFQ guards the server's own interface by examples/guard.yaml"
	: >"$netns_dir/results"
	capture_start switch server "$wire" "$(taken_expression "$(rules_of "$config")")"
	tcpdump=$process_pid
	netns_start client "$netns_dir/ping4" ping -q -i 0.05 "$server4"
	ping4=$process_pid
	netns_start client "$netns_dir/ping6" ping -q -i 0.05 "$server6"
	ping6=$process_pid
	xfq_start server "$config" guard --json
	xfq=$process_pid
	xfq_ready "$xfq" guard || { echo "xfq did not start" >&2 && cat "$netns_dir/guard.err" >&2 && return 1; }
	echo "guarded: the client tries from an address on the blocklist, and from another"
	try_all blocked "$blocked4" "$blocked6"
	try_all client "$client4" "$client6"
	capture_stop "$tcpdump" "$wire"
	xfq_end "$xfq" guard
	echo "not guarded any more: it tries again from the blocklist"
	try_all after "$blocked4" "$blocked6"
	process_stop "$ping4" INT
	process_stop "$ping6" INT
	check_guard "$netns_dir/guard.out" "$wire"
}

# check_guard JSON CAPTURE
check_guard() {
	say "from the blocklist, while guarded"
	check_results blocked failed "got nothing, of TRIES"
	check_equal dropped "$(jq .verdicts.drop "$1")" "$(capture_count "$2")" \
		"tcpdump, from the blocklist to the server"
	say "from the other address"
	check_results client ok "answered, of TRIES"
	check_pings ping4
	check_pings ping6
	say "from the blocklist, after XFQ has ended"
	check_results after ok "answered, of TRIES"
}

# check_pings LOG: a ping that ran from before XFQ's start until after its end
check_pings() {
	local sent received
	read -r sent received < <(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$netns_dir/$1")
	check_equal "$1" "${received:-0}" "${sent:--1}" \
		"answered, of ${sent:-0}, from before XFQ started until after its end"
}

# join_start TAG: a process of a user with no privileges joins the group `flows`; copies of the program
# and the way to the control socket are readable for all
join_start() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$netns_dir/xfq" join flows --json \
		>"$netns_dir/$1.join" 2>"$netns_dir/$1.said" &
	process_pid=$!
	process_list+=("$process_pid")
	wait_until 10 joined "$process_pid" && return 0
	cat "$netns_dir/$1.said" >&2
	return 1
}

# joined PID: whether the instance has this member
joined() {
	"$XFQ_BIN" status share --json | jq -e --argjson pid "$1" '.groups.flows.members[] | select(.pid == $pid)'
} >/dev/null 2>&1

part_share() {
	local tcpdump xfq wire=$netns_dir/share.pcap one two stopped lost config=$root/examples/share.yaml
	say "Part 3: three processes without privileges join a group of examples/share.yaml; one is stopped"
	install -m 755 "$XFQ_BIN" "$netns_dir/xfq"
	xfq_start monitor "$config" share --json
	xfq=$process_pid
	xfq_ready "$xfq" share || { cat "$netns_dir/share.err" >&2 && return 1; }
	join_start one && one=$process_pid
	join_start two && two=$process_pid
	join_start stopped && stopped=$process_pid
	kill -STOP "$stopped"
	capture_start switch mirror "$wire"
	tcpdump=$process_pid
	lost=$(netns_counter switch mirror tx.dropped)
	switch_plug switch mirror
	netns_exec client iperf3 --client "$server4" --port 5201 --time 3 --parallel 16 --bitrate 4M >/dev/null
	sleep 1
	switch_unplug switch mirror
	capture_stop "$tcpdump" "$wire"
	lost=$(($(netns_counter switch mirror tx.dropped) - lost))
	xfq_end "$xfq" share
	kill -CONT "$stopped"
	process_wait "$one" 5 && process_wait "$two" 5 && process_wait "$stopped" 5
	cat "$netns_dir/share.err"
	sed 's/^/one of the three: /' "$netns_dir/one.said"
	check_share "$netns_dir/share.out" "$wire" "$lost" "$one" "$two" "$stopped"
}

# check_share JSON CAPTURE LOST PID PID STOPPED
check_share() {
	local tag pid read told lost json=$1 pids=("${@:4}")
	say "what XFQ counted, and whether it adds up"
	check_sums "$json" "$(capture_count "$2")" "$3"
	check_groups "$json" "$2" '' "$3"
	say "each process, by its own count"
	for tag in one two stopped; do
		pid=${pids[0]}
		pids=("${pids[@]:1}")
		read=$(share_member "$json" "$pid" .packets)
		lost=$(share_member "$json" "$pid" .lost)
		told=$(jq .packets "$netns_dir/$tag.join")
		if [ "$tag" = stopped ]; then
			check_line "$(holds "$told" -eq "$read" -a "$lost" -gt 0)" "$tag" "$told" \
				"what fitted its ring, read once it went on; $lost more lost, all of them its own"
		else
			check_line "$(holds "$told" -eq "$read" -a "$lost" -eq 0)" "$tag" "$told" \
				"delivered by XFQ: $read, lost $lost"
		fi
	done
}

# share_member JSON PID KEY
share_member() {
	jq --argjson pid "$2" ".groups.flows.members[] | select(.pid == \$pid) | $3" "$1"
}

# live_ask COMMAND...: a subcommand of xfq to the instance of part 4; what it says is shown where it fails
live_ask() {
	local said
	said=$("$XFQ_BIN" "$@" 2>&1) && return 0
	echo "xfq $*: $said" >&2
	return 1
}

part_live() {
	local xfq iperf config=$netns_dir/live.yaml
	say "Part 4: rules change under a running transfer: examples/blocklist.yaml, on the server's interface"
	: >"$netns_dir/results"
	cp "$root/examples/blocklist.txt" "$netns_dir"
	sed 's/name: eth0/name: srv0/; 1i name: live' "$root/examples/blocklist.yaml" >"$config"
	netns_start client "$netns_dir/live.iperf" iperf3 --json --client "$server4" --bind "$client4" --port 5202 --time 8 --bitrate 20M
	iperf=$process_pid
	xfq_start server "$config" live --json
	xfq=$process_pid
	xfq_ready "$xfq" live || { cat "$netns_dir/live.err" >&2 && return 1; }
	try_all listed "$blocked4" "$blocked6"
	live_ask set del blocklist "${blocked4%.*}.0/24" "${blocked6%::*}::/48"
	try_all deleted "$blocked4" "$blocked6"
	live_ask set add blocklist "$blocked4" "$blocked6"
	try_all added "$blocked4" "$blocked6"
	sed -i 's/^  rules:/&\n    - { action: drop, match: "icmp or (icmp6 and ip6[40] == 128)" }/' "$config"
	live_ask reload
	note reloaded:ping reach "$client4" "$server4"
	note reloaded:ping reach "$client6" "$server6"
	"$XFQ_BIN" filter show
	kill -KILL "$xfq"
	process_wait "$xfq" 5 2>/dev/null
	try_all killed "$blocked4" "$blocked6"
	process_wait "$iperf" 15
	check_live
}

check_live() {
	local bytes
	say "from an address of the list"
	check_results listed failed "got nothing, of TRIES"
	say "xfq set del: the prefix is taken out"
	check_results deleted ok "answered, of TRIES"
	say "xfq set add: the address is put in"
	check_results added failed "got nothing, of TRIES"
	say "xfq reload, with a rule against ping"
	check_results reloaded failed "got nothing, of TRIES"
	say "after kill -9 of XFQ"
	check_results killed ok "answered, of TRIES"
	bytes=$(jq '.end.sum_received.bytes // 0' "$netns_dir/live.iperf")
	check_line "$(holds "$bytes" -gt 10000000)" transfer "$bytes" "bytes of a transfer that ran through all of this"
}

# holds CONDITION...: true or false
holds() {
	[ "$@" ] && echo true || echo false
}

live() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "needs root, for namespaces and XDP; a capture file needs none: ./demo.sh --offline FILE" >&2
		return 1
	fi
	deps_install "${deps_net[@]}"
	netns_begin demo
	build
	topology_create
	servers_start
	part_mirror
	part_guard
	part_share
	part_live
	say "$(check_summary)"
	[ "$check_failed" -eq 0 ]
}

offline() {
	local config=$root/examples/demo.yaml
	[ -r "$1" ] || { echo "$1: cannot be read" >&2 && return 1; }
	netns_begin demo
	build
	"$XFQ_BIN" run "$config" --read "$1"
	if ! command -v tcpdump >/dev/null || ! command -v jq >/dev/null; then
		say "not checked: that needs tcpdump and jq"
		return 0
	fi
	"$XFQ_BIN" run "$config" --read "$1" --json >"$netns_dir/offline.out"
	check_counts "$netns_dir/offline.out" "$config" "$1" 0
	say "$(check_summary)"
	[ "$check_failed" -eq 0 ]
}

case ${1:-} in
'') live ;;
--offline) [ $# -eq 2 ] || { usage >&2 && exit 2; } && offline "$2" ;;
-h | --help) usage ;;
*) usage >&2 && exit 2 ;;
esac
