# The phases of a build. Sourced by builder.sh, and by a shell that wants a package's environment.

PATH=
for tools in $initialPath; do PATH="$PATH${PATH:+:}$tools/bin"; done
for input in $nativeBuildInputs $buildInputs $propagatedBuildInputs; do
    [ -d "$input/bin" ] && PATH="$input/bin:$PATH"
done
export PATH

runPhase() {
    local body
    eval "body=\${$1:-}"
    echo "running phase: $1"
    if [ -n "$body" ]; then eval "$body"; else "$1"; fi
}

unpackPhase() {
    [ -n "${src:-}" ] || return 0
    if [ -d "$src" ]; then cp -r "$src" source; else mkdir source && tar -x -C source --strip-components=1 -f "$src"; fi
    chmod -R u+w source
    cd source
}

patchPhase() {
    local one
    for one in ${patches:-}; do patch -p1 < "$one"; done
}

configurePhase() { [ ! -x ./configure ] || ./configure --prefix="$out" ${configureFlags:-}; }
buildPhase() { [ ! -e Makefile ] || make ${makeFlags:-}; }
checkPhase() { [ ! -e Makefile ] || make ${checkTarget:-check}; }
installPhase() { [ ! -e Makefile ] || make install; }

genericBuild() {
    local phase
    for phase in ${phases:-unpackPhase patchPhase configurePhase buildPhase ${doCheck:+checkPhase} installPhase}; do
        runPhase "$phase"
    done
}
