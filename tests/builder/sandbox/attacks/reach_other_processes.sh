# Kill, trace or read what runs outside: it cannot even be named.
kill -9 "$HOST_PID" 2>/dev/null && exit 1
test "$$" = 1 || exit 1
test "$(cut -d' ' -f4 /proc/1/stat)" = 0 || exit 1
"$PROGRAMS/trace" "$HOST_PID" || exit 1
test ! -e "/proc/$HOST_PID/mem" || exit 1
