# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by demo.sh: holds what XFQ counted (its JSON) against what tcpdump finds in a capture of
# the same packets, and prints one line for each sum.
#
#	wire          12345 = dropped 123 (rule 0: 100, rule 1: 23) + passed 0 + steered 12222    ok

check_failed=0
check_count=0

# check_line OK LABEL NUMBER TEXT: OK is true or false
check_line() {
	local left verdict=ok
	check_count=$((check_count + 1))
	if [ "$1" != true ]; then
		verdict='NOT OK'
		check_failed=$((check_failed + 1))
	fi
	printf -v left '%-11s %8s = %s' "$2" "$3" "$4"
	printf '  %-104s %s\n' "$left" "$verdict"
}

# check_equal LABEL NUMBER OTHER TEXT [SLACK]: NUMBER may be at most SLACK less than OTHER
check_equal() {
	local missing=$(($3 - $2)) ok=false
	[ "$missing" -ge 0 ] && [ "$missing" -le "${5:-0}" ] && ok=true
	check_line "$ok" "$1" "$2" "$4"
}

# check_summary: the last line; false if any sum did not hold
check_summary() {
	if [ "$check_failed" -eq 0 ]; then
		echo "all $check_count checks ok"
	else
		echo "$check_failed of $check_count checks NOT OK"
		return 1
	fi
}

# The sums within the JSON, one line each: OK, label, number, text, between tabs.
# $wire: packets on the wire; $lost: of these, lost before they reached XFQ.
check_sums_program='
def sum(f): [f] | add // 0;
def line(ok; name; number; text): [ok, name, number, text] | map(tostring) | join("\t");
def rules(action; other): [(.filter.rules[] | select(.action == action) | "rule \(.id): \(.packets)"),
		(.filter.default | select(.action == action and other) | "default: \(.packets)")]
	| if length > 0 then " (" + join(", ") + ")" else "" end;
def by_action(action): sum((.filter.rules[], .filter.default) | select(.action == action) | .packets);
def not_zero($verdict): .verdicts[$verdict] as $n
	| if ($n // 0) > 0 then " + \($verdict) \($n)" else "" end;
def members: [.members[].packets | tostring] | join(" + ");

.verdicts as $v
| line($wire == sum($v[]) + $lost; "wire"; $wire;
	"dropped \($v.drop)" + rules("drop"; true) + " + passed \($v.pass)" + rules("pass"; true)
	+ " + steered \($v.steer)" + ([("tx", "limited", "shunted", "malformed") as $k | not_zero($k)] | add)
	+ if $lost > 0 then " + lost by the mirror port \($lost)" else "" end),
line($v.drop == by_action("drop"); "dropped"; $v.drop; "the sum of the rules that drop"),
(sum(.workers[].received) as $received | sum(.workers[].rx_dropped) as $dropped
	| sum(.workers[].rx_ring_full) as $full
	| line($v.steer == $received + $dropped + $full; "steered"; $v.steer;
		"received by \(.workers | length) worker\(if .workers | length > 1 then "s" else "" end) "
		+ "(\([.workers[].received | tostring] | join(" + ")))"
		+ " + lost before: socket \($dropped), ring full \($full)")),
(.groups | to_entries[] | .key as $name | .value
	| (.members + [.left]) as $all
	| sum($all[].packets) as $delivered | sum($all[].lost) as $lost_cnt
	| sum($all[] | .lost_ring, .lost_quota, .lost_detached) as $kinds
	| sum($all[] | .consumed, .discarded // 0, .queued // 0) as $read
	| line(.offered == $delivered + $lost_cnt and $lost_cnt == $kinds and $delivered == $read
			and (.steer == "broadcast" or .packets == .offered + .no_member);
		$name; .offered;
		(if .members | length > 0 then "\(.members | length) members (\(members))" else "no members" end)
		+ if .left.members > 0 then " + \(.left.packets) to \(.left.members) that left" else "" end
		+ if .steer == "broadcast" then ", each packet to all" else "" end
		+ " + lost \($lost_cnt)"
		+ if $lost_cnt > 0 then " (ring \(sum($all[].lost_ring)), quota "
			+ "\(sum($all[].lost_quota)), detached \(sum($all[].lost_detached)))"
		else "" end
		+ if .no_member > 0 then "; \(.no_member) more came while nobody was there" else "" end))'

# check_sums JSON WIRE LOST
check_sums() {
	local ok label number text
	while IFS=$'\t' read -r ok label number text; do
		check_line "$ok" "$label" "$number" "$text"
	done < <(jq -r --argjson wire "$2" --argjson lost "$3" "$check_sums_program" "$1" ||
		printf 'false\tjson\t0\tthe sums need what xfq did not print\n')
}

# check_tcpdump JSON CONFIG CAPTURE LOST: each rule and each group against tcpdump's own count;
# where LOST packets never reached XFQ, or its workers, no more than these may be missing
check_tcpdump() {
	local rules before=0 upto number id union='' slack=$4
	mapfile -t rules < <(rules_of "$2")
	check_equal rules "$(jq '.filter.rules | length' "$1")" "${#rules[@]}" "rules in ${2##*/}"
	for id in "${!rules[@]}"; do
		union+="${union:+ or }(${rules[id]#*$'\t'})"
		upto=$(capture_count "$3" "$(beneath_vlan "$3" "$union")")
		number=$(jq ".filter.rules[$id].packets" "$1")
		check_equal "rule $id" "$number" $((upto - before)) "tcpdump $(brief "${rules[id]#*$'\t'}")" "$slack"
		before=$upto
	done
	slack=$((slack + $(jq '[.workers[] | .rx_dropped, .rx_ring_full] | add' "$1")))
	check_groups "$1" "$3" "$(beneath_vlan "$3" "$(taken_expression "${rules[@]}")")" "$slack"
}

# check_groups JSON CAPTURE TAKEN SLACK: TAKEN is the expression of what rules keep from the groups
check_groups() {
	local name packets match all taken
	while IFS=$'\t' read -r name packets match; do
		all=$(capture_count "$2" "$match")
		taken=0
		[ -n "$3" ] && taken=$(capture_count "$2" "${match:+($match) and }($3)")
		check_equal "$name" "$packets" $((all - taken)) \
			"tcpdump $(brief "$match"): $all on the wire - $taken that rules took" "$4"
	done < <(jq -r '.groups | to_entries[] | [.key, .value.packets, .value.match // ""] | join("\t")' "$1")
}

# brief EXPRESSION: quoted, and no longer than a line has room for
brief() {
	if [ -z "$1" ]; then
		echo 'without an expression'
	elif [ ${#1} -gt 40 ]; then
		echo "\"${1:0:37}...\""
	else
		echo "\"$1\""
	fi
}

# capture_count FILE [EXPRESSION]: how many packets of the file match
capture_count() {
	tcpdump -n -r - --count ${2:+"$2"} <"$1" 2>/dev/null | awk 'END { print $1 + 0 }'
}

# beneath_vlan FILE EXPRESSION: rules see through two VLAN tags, tcpdump only where it is told to
beneath_vlan() {
	if [ -n "$2" ] && [ "$(capture_count "$1" vlan)" -gt 0 ]; then
		echo "($2) or (vlan and (($2) or (vlan and ($2))))"
	else
		echo "$2"
	fi
}

# rules_of CONFIG: a line for each rule: its action, a tab, and the tcpdump expression for it
rules_of() {
	local rule proto ports parts
	while IFS= read -r rule; do
		parts=()
		proto=$(field_of "$rule" proto)
		ports=$(ports_expression "$rule")
		case $rule in *' in: {'*) parts+=("$(set_expression "$1" "$rule")") ;; esac
		case $proto in '' | *[!0-9]*) ;; *) proto="ip proto $proto or ip6 proto $proto" ;; esac
		[ -n "$proto" ] && parts+=("$proto")
		[ -n "$ports" ] && parts+=("$ports")
		printf '%s\t%s\n' "$(field_of "$rule" action)" "$(all_of "${parts[@]}")"
	done < <(grep -E '^ *- *\{ *action:' "$1")
}

# all_of EXPRESSION...: joined by `and`
all_of() {
	local part joined=''
	[ $# -eq 1 ] && echo "$1" && return
	for part in "$@"; do
		case $part in *' or '*) part="($part)" ;; esac
		joined+=${joined:+ and }$part
	done
	echo "$joined"
}

# field_of LINE KEY: the value of `KEY: value` in a line of the config
field_of() {
	sed -nE "s/^.*[{,] *$2: *\"?([^,}\"]*[^,}\" ])[\" ]*[,}].*$/\1/p" <<<"$1"
}

# ports_expression RULE
ports_expression() {
	local key value
	for key in sport dport port; do
		value=$(field_of "$1" "$key")
		[ -z "$value" ] && continue
		case $key in sport) key='src port' ;; dport) key='dst port' ;; esac
		case $value in *-*) key+=range ;; esac
		echo "$key $value"
	done | paste -sd '|' | sed 's/|/ and /g'
}

# set_expression CONFIG RULE: the rule's set, with each address or prefix of its file
set_expression() {
	local line name side net joined=''
	name=$(field_of "$2" set)
	side=$(field_of "$2" field)
	line=$(grep -E "^ *$name: *\{.*type: *net" "$1")
	[ "$side" = either ] && side=
	while read -r net; do
		case $net in
		*:*) joined=${joined:+$joined or }"ip6 ${side:+$side }net $net" ;;
		*) joined=${joined:+$joined or }"ip ${side:+$side }net $net" ;;
		esac
	done < <(set_entries "${1%/*}" "$line")
	echo "$joined"
}

# set_entries FOLDER LINE: what is in the file that the set's line names, and in its entries
set_entries() {
	local file
	file=$(field_of "$2" file)
	[ -n "$file" ] && sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$1/$file"
	sed -nE 's/^.*entries: *\[([^]]*)\].*$/\1/p' <<<"$2" | tr -d '" ' | tr ',' '\n'
}

# taken_expression RULE...: what the rules together keep from user space; the first match decides
taken_expression() {
	local i action expression taken='' rules=("$@")
	for ((i = ${#rules[@]} - 1; i >= 0; i--)); do
		action=${rules[i]%%$'\t'*}
		expression=${rules[i]#*$'\t'}
		if [ "$action" != steer ]; then
			taken="($expression)${taken:+ or $taken}"
		elif [ -n "$taken" ]; then
			taken="(not ($expression) and ($taken))"
		fi
	done
	echo "$taken"
}
