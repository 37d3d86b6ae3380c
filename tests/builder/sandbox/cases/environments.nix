# Derivations that say what they see. Built here and by Nix, they must come out the same.
let
  make = name: attrs: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
  } // attrs);

  run = name: script: make name { args = [ "-c" script ]; };

  # Reports, sorted where the order is the file system's.
  text = builtins.toFile "text" "a text\n";
  script = builtins.toFile "builder.sh" ''
    mkdir $out
    echo "$0 $# $*" > $out/arguments
    env | sort > $out/environment
  '';
  tree = builtins.path { path = ./tree; name = "tree"; };
  library = run "library" "mkdir $out; echo library > $out/file; echo ${text} > $out/refers";
  program = make "program" {
    args = [ "-c" "mkdir $out $dev; echo $library > $out/uses; echo $out > $dev/self" ];
    outputs = [ "out" "dev" ];
    inherit library;
  };
in
{
  environment = run "environment" "env | sort > $out";
  environmentExactly = run "environment-exactly" "tr '\\0' '\\n' < /proc/self/environ > $out";
  arguments = make "arguments" { args = [ script "one" "two words" "" "quo'te" "\"" "new\nline" "ü" "$HOME" ]; };
  variables = make "variables" {
    args = [ script ];
    text = "several\nlines\tand tabs";
    empty = "";
    number = 12;
    yes = true;
    no = false;
    nothing = null;
    list = [ 1 "two" ./tree/a [ true ] ];
    path = ./tree;
    unicode = "äöü € 𝄞";
    equals = "a=b=c";
    HOME = "/set/by/the/derivation";
    PATH = "/set/path";
    TMPDIR = "/set/tmpdir";
    NIX_BUILD_CORES = "77";
    TERM = "dumb";
    __ignoreNulls = true;
  };
  passAsFile = make "pass-as-file" {
    passAsFile = [ "large" "withPath" "empty" ];
    large = "a text that is large";
    withPath = "${text} and ${placeholder "out"}";
    empty = "";
    args = [ "-c" "mkdir $out; cat $largePath > $out/large; cat $withPathPath > $out/path; env | sort > $out/env; ls -la /build | tail -n +4 | cut -c1-10 > $out/modes; ls /build -A > $out/names" ];
  };
  structured = make "structured" {
    __structuredAttrs = true;
    outputs = [ "out" "lib" ];
    args = [ "-c" "out=$(grep -o '\"out\":\"[^\"]*\"' .attrs.json | cut -d'\"' -f4); lib=$(grep -o '\"lib\":\"[^\"]*\"' .attrs.json | cut -d'\"' -f4); mkdir $out $lib; cp .attrs.json $out/json; cp .attrs.sh $out/sh; env | sort | grep -v NIX_ATTRS_ > $out/env" ];
    text = "it's \"quoted\" \\ and\nnew line € \b\f";
    integer = 42;
    large = 5000000000;
    negative = -7;
    half = 0.5;
    whole = 3.0;
    tiny = 1.0e-7;
    huge = 1.0e22;
    edge = 1234567890123456.0;
    yes = true;
    no = false;
    none = null;
    list = [ 1 "two" true null ];
    nested = [ [ 1 ] ];
    set = { a = 1; "b c" = "d'e"; };
    deep = { a = { b = 1; }; };
    "not-a-variable" = 1;
    path = text;
    self = placeholder "lib";
  };
  placeholders = make "placeholders" {
    outputs = [ "out" "bin" ];
    mine = placeholder "out";
    other = "${placeholder "bin"}/x";
    args = [ "-c" "mkdir $out $bin; echo $mine $other $1 > $out/x" "sh" (placeholder "bin") ];
  };
  graphText = make "graph-text" {
    exportReferencesGraph = [ "graph" program "other" library ];
    args = [ "-c" "mkdir $out; cp graph other $out; env | sort > $out/env" ];
  };
  graphStructured = make "graph-structured" {
    __structuredAttrs = true;
    exportReferencesGraph.closure = [ program text ];
    args = [ "-c" "out=$(grep -o '\"out\":\"[^\"]*\"' .attrs.json | cut -d'\"' -f4); cp .attrs.json $out" ];
  };
  fixedFlat = make "fixed-flat" {
    outputHash = builtins.hashString "sha256" "fixed\n";
    outputHashAlgo = "sha256";
    args = [ "-c" "test $NIX_OUTPUT_CHECKED = 1 && echo fixed > $out" ];
  };
  fixedFlatSha1 = make "fixed-flat-sha1" {
    outputHash = builtins.hashString "sha1" "fixed\n";
    outputHashAlgo = "sha1";
    args = [ "-c" "echo fixed > $out" ];
  };
  fixedTree = make "fixed-tree" {
    outputHash = "sha256-ZC9jnmoT/hJWt2mz/0FE9wqQ0718VSOdPlkpQKJXNLg=";
    outputHashMode = "recursive";
    args = [ "-c" "mkdir $out; echo a > $out/a" ];
  };
  fixedSees = make "fixed-sees" {
    outputHash = builtins.hashString "sha256" "127.0.0.1 nsswitch resolv\n";
    outputHashAlgo = "sha256";
    impureEnvVars = [ "A_VARIABLE_OF_THE_MACHINE" ];
    args = [ "-c" "test \"$A_VARIABLE_OF_THE_MACHINE\" = value || exit 1; grep -q 'hosts: files dns' /etc/nsswitch.conf || exit 1; test -e /etc/hosts || exit 1; echo 127.0.0.1 nsswitch resolv > $out" ];
  };
  ids = run "ids" "id > $out; id -un >> $out; id -gn >> $out; grep -E '^(Uid|Gid|CapEff|NoNewPrivs|Seccomp):' /proc/self/status >> $out";
  accounts = run "accounts" "mkdir $out; cat /etc/passwd > $out/passwd; cat /etc/group > $out/group; cat /etc/hosts > $out/hosts; ls -A /etc > $out/names";
  host = run "host" "hostname > $out; cat /proc/sys/kernel/domainname >> $out 2>/dev/null; uname -s >> $out; uname -m >> $out";
  root = run "root" "ls -A / > $out; ls -A /bin >> $out; ls -A /nix >> $out; ls -A /tmp >> $out; ls -A /build >> $out";
  inputsOnly = make "inputs-only" { args = [ "-c" "ls /nix/store > $out" ]; inherit program; };
  inputsOfLibrary = make "inputs-of-library" { args = [ "-c" "ls /nix/store > $out; cat $library/refers >> $out" ]; inherit library; };
  inputModes = make "input-modes" {
    inherit tree text;
    args = [ "-c" "cd $tree; for f in . a x d d/e l; do stat -c '%A %Y %N' $f >> $out; done; stat -c '%a %Y %s' $text >> $out" ];
  };
  folders = run "folders" "pwd > $out; stat -c '%a' /build /tmp /dev/shm >> $out; touch /dev/shm/x /tmp/x /build/x; ls /dev/shm /tmp >> $out";
  devices = run "devices" "for d in full null random tty urandom zero; do stat -c '%n %F %t %T' /dev/$d >> $out; done; for l in fd stdin stdout stderr; do readlink /dev/$l >> $out; done; ls -d /dev/pts /dev/ptmx /dev/shm >> $out; echo lost > /dev/null; head -c 3 /dev/zero | wc -c >> $out";
  descriptors = run "descriptors" "readlink /proc/self/fd/0 > $out; for i in 0 1 2; do if [ -t $i ]; then echo terminal; else echo none; fi; done >> $out; ls /proc/$$/fd | head -3 >> $out; umask >> $out; ulimit -c >> $out; stat -c '%F' -L /proc/self/fd/1 >> $out; echo to the terminal > /dev/stdout; echo here too > /dev/stderr";
  process = run "process" "echo $$ $PPID > $out; cut -d' ' -f1,3,4,5,6,7 /proc/1/stat | sed 's/ [RS] / . /' >> $out; cat /proc/self/personality >> $out; set -- /proc/[0-9]*; echo $# >> $out";
  network = run "network" "ifconfig -a | grep -E '^[a-z]|inet ' > $out; cut -d: -f1 /proc/net/dev | sort >> $out; wc -l < /proc/net/route >> $out; nc -l -p 4711 -e /bin/true & ping -c 1 127.0.0.1 > /dev/null 2>&1; echo $? > /dev/null";
  modesOfOutputs = run "modes-of-outputs" "mkdir -p $out/d/e; echo x > $out/plain; echo x > $out/exec; echo x > $out/private; chmod 755 $out/exec; chmod 600 $out/private; chmod 100 $out/d/e; ln -s nowhere $out/link; ln -s $out/plain $out/self; ln $out/plain $out/d/hard; touch -d '2001-01-01' $out/plain; : > $out/empty; mkdir $out/void; echo x > $out/group; chmod 610 $out/group";
  fileOutput = run "file-output" "echo x > $out; chmod 755 $out";
  linkOutput = run "link-output" "ln -s ${library} $out";
  emptyFolder = run "empty-folder" "mkdir $out";
  bytes = run "bytes" "mkdir $out; printf '\\377\\000\\001' > $out/binary; echo x > \"$out/$(printf 'n\\374me')\"; echo y > \"$out/new\nline\"; echo z > $out/-dash";
  references = make "references" { inherit library tree; args = [ "-c" "echo $library $tree $out > $out; echo \${library#/nix/store/} | cut -c1-31 >> $out" ]; };
  referencesInLinks = make "references-in-links" { inherit library; args = [ "-c" "mkdir $out; ln -s $library/file $out/l; echo x > \"$out/\${library#/nix/store/}\"" ]; };
  severalOutputs = program;
  cycleFree = make "cycle-free" { outputs = [ "a" "b" "c" ]; args = [ "-c" "echo $b > $a; echo $c > $b; echo $c > $c" ]; };
  ofOutputs = make "of-outputs" { inherit (program) dev; main = program; args = [ "-c" "cat $dev/self $main/uses > $out; ls /nix/store >> $out" ]; };
  drvItself = make "drv-itself" { drv = program.drvPath; args = [ "-c" "ls /nix/store > $out; wc -c < $drv >> $out" ]; };
  allowed = make "allowed" { inherit library; allowedReferences = [ library "out" ]; disallowedReferences = [ text ]; args = [ "-c" "echo $library $out > $out" ]; };
  thirtyTwo = make "thirty-two" { system = "i686-linux"; args = [ "-c" "uname -m > $out; cat /proc/self/personality >> $out" ]; };
  logging = run "logging" "echo line; printf 'no newline' >&2; echo '@nix {\"action\":\"setPhase\",\"phase\":\"build\"}' >&2; printf 'a\\rb\\n'; echo $NIX_LOG_FD > $out";
  shellInInput = make "shell-in-input" { builder = "/bin/sh"; args = [ script ]; inherit tree; };
  builderInInput = make "builder-in-input" {
    builder = run "tool" "mkdir -p $out/bin; cp /bin/sh $out/bin/sh; chmod +x $out/bin/sh" + "/bin/sh";
    args = [ "-c" "echo $0 > $out; tr '\\0' ' ' < /proc/self/cmdline >> $out" ];
  };
}
