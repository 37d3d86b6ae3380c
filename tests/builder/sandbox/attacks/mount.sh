# New mounts, and those that are there taken away or made writable.
mkdir -p /build/m
mount -t tmpfs none /build/m 2>/dev/null && exit 1
mount -o bind / /build/m 2>/dev/null && exit 1
mount -o remount,rw / 2>/dev/null && exit 1
mount -o remount,rw,bind "$INPUT" 2>/dev/null && exit 1
umount /nix/store 2>/dev/null && exit 1
umount "$INPUT" 2>/dev/null && exit 1
# In namespaces of its own (where the kernel allows them) what was read-only stays so.
unshare -U -r -m sh -c 'mount -o remount,rw,bind / && echo x >/x' 2>/dev/null && exit 1
unshare -U -r -m sh -c 'mount -o remount,rw,bind "$INPUT" && echo x >"$INPUT/file"' 2>/dev/null && exit 1
unshare -U -r -m sh -c 'umount "$INPUT" && echo there is no input' 2>/dev/null && exit 1
unshare -U -r -m sh -c 'umount -l / && ls -d /root /etc/shadow' 2>/dev/null && exit 1
true
