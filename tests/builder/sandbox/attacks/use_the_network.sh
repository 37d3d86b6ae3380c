# Loopback, where the test listens; the rest of the world.
if nc -w 2 127.0.0.1 "$HOST_PORT" </dev/null 2>/dev/null; then
    echo "reached the machine"
    exit 1
fi
if nc -w 2 192.0.2.1 80 </dev/null 2>/dev/null; then
    echo "reached the world"
    exit 1
fi
test "$(grep -c : /proc/net/dev)" = 1 || exit 1
grep -q 'lo:' /proc/net/dev || exit 1
# No route leads anywhere.
test "$(wc -l </proc/net/route)" = 1 || exit 1
# The machine's abstract sockets belong to its network.
if grep -q "$HOST_SOCKET" /proc/net/unix; then
    exit 1
fi
