# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced by demo.sh and test.sh: what Debian 12 packages each needs, and installing what is missing.

# to build: README.md lists what each is for
deps_build=(gcc clang llvm llvm-14-dev cmake ninja-build pkg-config bpftool linux-libc-dev libc6-dev
	libbpf-dev libxdp-dev libelf-dev zlib1g-dev libhwloc-dev libpcap-dev libyaml-dev
	libjansson-dev libcap-dev libcmocka-dev)
# to test, besides
deps_test=(clang-format libclang-rt-14-dev git util-linux jq spin tshark)
# what the demonstration and the network tests run: real servers and clients
deps_net=(iproute2 ethtool tcpdump iputils-ping iperf3 dnsmasq-base bind9-dnsutils curl busybox jq
	procps util-linux xdp-tools)
# what boots another kernel: the kernel itself is unpacked below build/, and not installed
deps_vm=(qemu-system-x86)

# deps_install PACKAGE...: install those that are not there; says what to do where it cannot
deps_install() {
	local package missing=()
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing packages: ${missing[*]}" >&2
		echo "run as root, or first: apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	echo "installing: ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
		>/dev/null 2>&1 && return 0
	apt-get update -qq >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
		>/dev/null
}
