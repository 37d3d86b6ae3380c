# Anything but the outputs, /build and /tmp.
for path in /x /bin/x /bin/sh /etc/passwd /etc/x /nix/x /proc/x /dev/pts/x "$INPUT/file" "$INPUT/new"; do
    if (echo x >>"$path") 2>/dev/null; then
        echo "wrote $path"
        exit 1
    fi
done
for path in "$INPUT" "$INPUT/file" /etc/passwd /bin/sh; do
    if rm -rf "$path" 2>/dev/null || mv "$path" /build/x 2>/dev/null || chmod 777 "$path" 2>/dev/null; then
        echo "removed or changed $path"
        exit 1
    fi
done
for path in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/1/oom_score_adj; do
    if [ "$path" != /proc/1/oom_score_adj ] && (echo x >"$path") 2>/dev/null; then
        echo "wrote $path"
        exit 1
    fi
done
ln "$INPUT/file" /build/link 2>/dev/null && exit 1
touch /build/x /tmp/x
