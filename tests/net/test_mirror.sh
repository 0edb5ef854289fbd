#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# mode: mirror on an interface that the host uses: XFQ sees both directions as on the wire, and the
# host's traffic does not notice when XFQ starts, stops, or is killed; nothing stays behind.
set -euo pipefail
. "$XFQ_SOURCE_DIR/scripts/netns.sh"
test_needs ping tcpdump iperf3 busybox bpftool
send=$XFQ_NET_DIR/frame_send
PATH=$PATH:/usr/local/sbin

# One line after the other goes to the other side and comes back, over one TCP connection.
session_start() {
	netns_start far "$netns_dir/nc.log" busybox nc -ll -p 2222 -e cat
	sleep 0.3
	netns_start near "$netns_dir/session.log" bash -c '
		exec 3<>/dev/tcp/192.0.2.10/2222 || exit 1
		for ((i = 0; ; i++)); do
			echo "$i" >&3
			read -r -t 3 -u 3 back || exit 2
			[ "$back" = "$i" ] || exit 3
			echo "$i" >"$0"
			sleep 0.02
		done' "$netns_dir/lines"
	session=$process_pid
	wait_until 5 [ -s "$netns_dir/lines" ] || test_fail "the session does not begin"
}

lines() {
	local count
	count=$(cat "$netns_dir/lines")
	echo "${count:-0}"
}

lines_beyond() {
	[ "$(lines)" -gt "$1" ]
}

# It goes on, and has gone on all the time.
session_goes_on() {
	wait_until 5 lines_beyond $(($(lines) + 10)) || test_fail "the session stopped $1"
	process_alive "$session" || test_fail "the session ended $1"
}

start() {
	xfq_start near "$netns_dir/mirror.yaml" mirror --json "$@"
	xfq=$process_pid
	xfq_ready "$xfq" mirror || { test_show mirror; test_fail "xfq did not come up"; }
}

stop() {
	process_stop "$xfq" || { test_show mirror; test_fail "xfq did not end when asked"; }
	[ "$process_status" -eq 0 ] || { test_show mirror; test_fail "xfq ended with status $process_status"; }
}

holds() {
	jq -e "def sum(f): [f] | add // 0; $2" "$netns_dir/mirror.out" >/dev/null && return 0
	jq '{interfaces, verdicts, noticed, filter, groups}' "$netns_dir/mirror.out"
	test_fail "$1: $2"
}

# Programs of ours that TC may run, on the whole machine.
programs() {
	bpftool prog show name xfq_tc | grep -c xfq_tc || true
}

clean() {
	! netns_ip near -o link | grep -q ': xfq' && [ "$(programs)" -le "$programs_before" ]
}

# count FILE EXPRESSION: packets of a capture
count() {
	tcpdump -n --count -r "$1" "${@:2}" 2>/dev/null | cut -d " " -f 1
}

watch_begin() {
	rm -f "$netns_dir/b0.pcap.log"
	netns_start near "$netns_dir/b0.pcap.log" tcpdump -i b0 -n -p -s 256 --immediate-mode -Z root \
		-w "$netns_dir/b0.pcap"
	watch=$process_pid
	wait_until 10 grep -qs 'listening on' "$netns_dir/b0.pcap.log" || test_fail "tcpdump did not start"
}

watch_end() {
	capture_stop "$watch" "$netns_dir/b0.pcap" || test_fail "tcpdump lost packets"
}

udp() {
	netns_exec "$1" bash -c "for ((i = 0; i < $4; i++)); do echo x >/dev/udp/$2/$3; done"
}

netns_begin test
netns_add far
netns_add near
netns_silence near
netns_silence far
netns_link far:a0 near:b0 1
# as the kernel has it: merged packets, checksums half-done, tags beside the packet
for end in far:a0 near:b0; do
	netns_exec "${end%:*}" ethtool -K "${end#*:}" tx on rx on tso on gso on gro on txvlan on rxvlan on >/dev/null
done
netns_ip far addr add 192.0.2.10/24 dev a0
netns_ip near addr add 192.0.2.1/24 dev b0
netns_exec near ping -q -c 1 -W 1 192.0.2.10 >/dev/null || test_fail "no answer before"
session_start
programs_before=$(programs)

# rules decide what is copied, and nothing else
cat >"$netns_dir/mirror.yaml" <<'END'
name: mirror
interfaces: [{ name: b0, mode: mirror }]
filter:
  default: pass
  rules:
    - { action: drop, match: "icmp and icmp[icmptype] = icmp-echoreply" }
    - { action: limit, proto: udp, dport: 9999, per: dst, rate: 1, burst: 5 }
    - { action: steer, match: "udp or icmp or vlan 5" }
groups:
  all: { steer: flow, members: 1, sink: pcap }
END
sed -i "s|sink: pcap|sink: pcap, dir: $netns_dir|" "$netns_dir/mirror.yaml"
watch_begin
start
session_goes_on 'at the start'
netns_exec near ping -q -c 10 -i 0.02 -W 1 192.0.2.10 | grep -q ' 10 received' || test_fail "a mirror dropped a ping"
netns_exec far ping -q -c 10 -i 0.02 -W 1 192.0.2.1 | grep -q ' 10 received' || test_fail "a mirror dropped a ping"
udp near 192.0.2.10 7001 20
udp far 192.0.2.1 7002 30
udp near 192.0.2.10 9999 30
netns_exec far "$send" a0 'ffffffffffff 020000000009 81000005 88b5 00' 7
sleep 0.5
stop
session_goes_on 'at the stop'
watch_end
[ "$(count "$netns_dir/b0.pcap" udp port 9999 and not icmp)" -eq 30 ] || test_fail "a mirror limited the host"
copied=$(($(count "$netns_dir/b0.pcap" '(udp or (icmp and icmp[icmptype] != icmp-echoreply)) and not (udp and dst port 9999)') + 7))
beyond=$(jq '.filter.rules[1].packets' "$netns_dir/mirror.out")
[ "$beyond" -ge 20 ] && [ "$beyond" -le 25 ] || test_fail "$beyond were beyond the limit of 5"
holds 'as many copies as packets on the interface' ".verdicts.steer == $copied + 30 - $beyond"
holds 'all of them received' ".groups.all.packets == .verdicts.steer"
holds 'what is not copied is counted' '.filter.rules[0].packets == 20 and .verdicts.drop == 20'
holds 'every packet has one rule and one verdict' \
	'sum(.verdicts[]) == sum(.filter.rules[].packets) + .filter.default.packets'
holds 'nothing was lost' '.interfaces[0].mirror_lost == 0 and .noticed.no_socket == 0'
copies=("$netns_dir"/all.*.pcapng)
[ "$(count "${copies[0]}" vlan 5)" -eq 7 ] || test_fail "the tags did not come along"
[ "$(count "${copies[0]}" udp dst port 7001)" -eq 20 ] || test_fail "not all that was sent"
[ "$(count "${copies[0]}" udp dst port 7002)" -eq 30 ] || test_fail "not all that came in"
wait_until 5 clean || { netns_ip near link; test_fail "something stays behind after the stop"; }

# merged packets: what comes out is cut as on the wire, and its checksums are right
cat >"$netns_dir/mirror.yaml" <<END
name: mirror
interfaces: [{ name: b0, mode: mirror }]
filter:
  default: pass
  rules: [{ action: steer, match: "tcp port 5201" }, { action: drop, match: "udp port 7003" }]
egress: { rules: [{ action: drop, proto: udp, dport: 7003 }] }
groups:
  all: { steer: flow, members: 1, sink: pcap, dir: $netns_dir }
END
netns_start far "$netns_dir/server.log" iperf3 -s
start
sleep 0.5
udp near 192.0.2.10 7003 9
netns_exec near timeout 20 iperf3 -c 192.0.2.10 -n 4M >"$netns_dir/client.log" ||
	{ cat "$netns_dir/client.log"; test_fail "iperf3 with a mirror"; }
netns_exec near timeout 20 iperf3 -c 192.0.2.10 -R -n 4M >"$netns_dir/client.log" ||
	{ cat "$netns_dir/client.log"; test_fail "iperf3 with a mirror, the other way"; }
sleep 0.5
stop
holds 'many copies' '.verdicts.steer > 2000'
holds 'what egress rules drop' '.egress.verdicts.drop == 9'
holds 'does not come to the mirror' '.filter.rules[1].packets == 0'
holds 'steered' '.verdicts.steer == sum(.workers[] | .received, .rx_dropped, .rx_ring_full)'
holds 'none was too long' '.noticed.too_long == 0 and .noticed.malformed == 0'
copies=("$netns_dir"/all.*.pcapng)
[ "$(count "${copies[0]}" greater 1515)" -eq 0 ] || test_fail "a copy is longer than a frame"
tcpdump -nvv -r "${copies[0]}" 2>/dev/null | grep -E 'bad cksum|incorrect' | head -3 | grep . &&
	test_fail "checksums of copies are wrong"
session_goes_on 'with load'

# killed
start
netns_exec near ping -q -c 3 -i 0.02 192.0.2.10 >/dev/null
kill -s KILL "$xfq"
process_wait "$xfq" 5 || test_fail "xfq survived SIGKILL"
session_goes_on 'when xfq was killed'
wait_until 5 clean || { netns_ip near link; test_fail "something stays behind after the kill"; }
netns_exec near timeout 20 iperf3 -c 192.0.2.10 -n 20M >/dev/null || test_fail "iperf3 afterwards"

# the interface goes
start
netns_ip near link del b0
process_wait "$xfq" 10 || { test_show mirror; test_fail "xfq does not end when its interface is gone"; }
! netns_ip near -o link | grep -q ': xfq' || test_fail "the pair stays behind"
echo "mirror: $copied copies of $copied packets, and a session of $(lines) lines that noticed nothing"
