# The classical way out of a chroot: open a folder, change the root below it, walk up.
mkdir -p /build/jail/bin /build/jail/proc
cp /bin/sh /build/jail/bin/sh
chroot /build/jail /bin/sh -c true 2>/dev/null && exit 1
unshare -U -r chroot /build/jail /bin/sh -c 'cd ../../../../../..; ls -d etc/shadow root home' 2>/dev/null && exit 1
cd /build/../../../../.. && ls -d root home usr 2>/dev/null && exit 1
ls -d /proc/self/root/root /proc/self/root/usr 2>/dev/null && exit 1
ls /proc/1/root/../usr 2>/dev/null && exit 1
# Other processes' roots: there are no others.
test "$(ls -d /proc/[0-9]* | wc -l)" -lt 12 || exit 1
true
