# Set-user-id and set-group-id bits, by every call there is; extended attributes.
cp /bin/sh /build/tool
for mode in u+s g+s 4755 2755 6755; do
    if chmod "$mode" /build/tool 2>/dev/null; then
        echo "chmod $mode"
        exit 1
    fi
done
"$PROGRAMS/set_id" /build/tool || exit 1
