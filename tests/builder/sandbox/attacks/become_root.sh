# No user 0, no capability, no way to get one.
test "$(id -u)" = 1000 && test "$(id -g)" = 100 || exit 1
for set in CapInh CapPrm CapEff CapAmb; do
    grep -q "^$set:.0*$" /proc/self/status || exit 1
done
grep -q '^NoNewPrivs:.1$' /proc/self/status || exit 1
grep -q '^Seccomp:.2$' /proc/self/status || exit 1
hostname evil 2>/dev/null && exit 1
chown 0:0 /build 2>/dev/null && exit 1
"$PROGRAMS/privileges" || exit 1
