# Files of the machine: passwords, homes, the store's own folder, the host's root through /proc.
for path in /etc/shadow /etc/hostname /root /home /usr /var /sys "$HOST_FOLDER" /proc/1/root/etc/shadow /proc/1/cwd/../root; do
    if ls -d "$path" 2>/dev/null; then
        echo "there is $path"
        exit 1
    fi
done
test "$(ls /)" = "$(printf 'bin\nbuild\ndev\netc\nnix\nproc\ntmp')" || exit 1
test "$(ls /nix/store)" = "${INPUT##*/}" || exit 1
