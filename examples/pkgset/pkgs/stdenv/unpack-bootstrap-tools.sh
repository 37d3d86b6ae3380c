# Unpacks the tools that everything starts from.
"$tarball" x "$out"
