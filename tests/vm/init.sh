#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The first process of the machine, in its initramfs: the host's files, read-only, under a layer of
# memory that takes what is written; then inside.sh as the first process of that.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules); do
	insmod "/modules.d/$module" || echo "init: $module does not load"
done
set -e
mkdir -p /host /layer /new
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
mount -t tmpfs -o size=1g layer /layer
mkdir -p /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new
. /settings
# the kernel loads what else it needs by itself: by busybox, from its package
mkdir -p /new/lib/modules "/new$vm_work/results"
ln -sfn "$vm_kernel/lib/modules/$(uname -r)" "/new/lib/modules/$(uname -r)"
ln -sfn "$vm_kernel/bin/busybox" /new/sbin/modprobe
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 results "/new$vm_work/results"
mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
exec switch_root /new /bin/bash "$vm_source/tests/vm/inside.sh" "$vm_work"
