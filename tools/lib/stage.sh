# Runs in namespaces of its own (user, mount, network, pid), as their root: sets the stage for one case, then becomes
# the program. stage.sh MODE ROOT BUSYBOX QEMU DIR COMMAND...
#   MODE chroot: the root is ROOT (native, x86-64)    qemu: the same, ARM programs run by QEMU    emu: the root stays
set -e
mode=$1 root=$2 busybox=$3 qemu=$4 dir=$5
shift 5
"$busybox" ip link set lo up
mount -t proc proc /proc
# The same path for every case and tool, so that it may show in the output.
case=/tmp/emu-case
mkdir -p $case
mount --bind "$dir" $case
case $mode in
emu)
    cd $case
    exec "$@"
    ;;
qemu)
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    magic='\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":emu-reference:M::$magic:$mask:$qemu:F" >/proc/sys/fs/binfmt_misc/register
    ;;
esac
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
# In this namespace only: a directory of that name in a sysroot would come before the real one.
mount -t tmpfs tmp "$root/tmp"
mkdir "$root$case"
mount --bind "$dir" "$root$case"
exec chroot "$root" /bin/busybox sh -c 'cd "$0" && exec "$@"' $case "$@"
