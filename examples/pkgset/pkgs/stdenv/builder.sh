# What every builder runs.
. "${stdenv:-$setup}/setup"
if [ -n "${buildCommand:-}" ]; then eval "$buildCommand"; else genericBuild; fi
