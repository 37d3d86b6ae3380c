# Nodes of devices, as files to use and as output.
for spec in "b 254 0" "b 8 0" "c 1 1" "c 1 3"; do
    if mknod /build/node $spec 2>/dev/null || mknod "$out" $spec 2>/dev/null; then
        echo "made $spec"
        exit 1
    fi
done
for path in /dev/vda /dev/sda /dev/mem /dev/kmsg /dev/kvm /dev/fuse /dev/loop0 /dev/net/tun; do
    if [ -e "$path" ]; then
        echo "there is $path"
        exit 1
    fi
done
true
