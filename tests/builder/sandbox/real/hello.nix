# GNU hello from its source, with zig as the C compiler and busybox for the rest. Everything is static.
{ zig, hello, make }:
let
  run = name: env: script: derivation ({
    inherit name script;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" (builtins.toFile "builder.sh" ''
      if [ -n "$tools" ]; then export PATH=$make/bin:$cc/bin:$tools/bin; fi
      eval "$script"
    '') ];
  } // env);

  source = path: name: builtins.path { inherit path name; };

  # The applets that /bin/sh consists of, for programs that are no shells.
  tools = run "tools" { } ''
    mkdir -p $out/bin
    cp /bin/sh $out/bin/busybox
    chmod 755 $out/bin/busybox
    for applet in $($out/bin/busybox --list); do [ -e $out/bin/$applet ] || ln -s busybox $out/bin/$applet; done
  '';

  cc = run "cc" { inherit tools; zig = source zig "zig"; make = ""; cc = ""; } ''
    mkdir -p $out/bin
    for tool in cc ar ranlib ld; do
      printf '#!/bin/sh\nexport ZIG_GLOBAL_CACHE_DIR=/build/.zig ZIG_LOCAL_CACHE_DIR=/build/.zig\n' > $out/bin/$tool
      chmod 755 $out/bin/$tool
    done
    echo "exec $zig/zig cc -target x86_64-linux-musl -g0 -O1 \"\$@\"" >> $out/bin/cc
    echo "exec $zig/zig ar \"\$@\"" >> $out/bin/ar
    echo "exec $zig/zig ranlib \"\$@\"" >> $out/bin/ranlib
    echo "exec $zig/zig ld.lld \"\$@\"" >> $out/bin/ld
  '';

  # hello's archive is older than what busybox's tar reads.
  untar = run "untar" { inherit tools cc; make = ""; source = ./untar.c; } ''
    mkdir -p $out/bin
    cc -o $out/bin/untar $source
  '';

  unpacked = run "hello-source" { inherit tools untar; tarball = source hello "hello.tar.gz"; make = ""; cc = ""; } ''
    mkdir $out
    cd $out
    gzip -dc $tarball | $untar/bin/untar
  '';

  # Debian's make with its own loader: nothing of it is where it was linked for.
  makeItself = run "make" { inherit tools; debian = source make "debian-make"; make = ""; cc = ""; } ''
    mkdir -p $out/bin
    printf '#!/bin/sh\nexec %s/lib/ld.so --library-path %s/lib %s/bin/make MAKE=%s/bin/make "$@"\n' \
      $debian $debian $debian $out > $out/bin/make
    chmod 755 $out/bin/make
  '';

  configured = run "hello-configured" { inherit tools cc; make = makeItself; src = unpacked; } ''
    cp -r $src $out
    chmod -R u+w $out
    cd $out
    ./configure --prefix=/ --disable-nls --disable-dependency-tracking CC=cc AR=ar RANLIB=ranlib
    rm -f config.log
  '';

  built = run "hello" { inherit tools cc configured; make = makeItself; } ''
    cp -r $configured source
    chmod -R u+w source
    cd source
    # Times are all alike in a store: nothing is to be made again that the source has.
    find . -exec touch -d @2 {} +
    make MAKEINFO=true HELP2MAN=true
    mkdir -p $out/bin
    cp hello $out/bin/
  '';

  greeting = run "greeting" { inherit tools; hello = built; make = ""; cc = ""; } ''
    mkdir $out
    $hello/bin/hello > $out/plain
    $hello/bin/hello --greeting="hello from the sandbox" > $out/own
    $hello/bin/hello --version > $out/version
  '';
in
{ inherit tools cc untar unpacked configured built greeting; make = makeItself; }
