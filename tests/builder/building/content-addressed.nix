# Derivations whose outputs are addressed by their contents, and what uses them.
let
  make = name: text: more: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" text ];
  } // more);
  floating = { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
in rec {
  root = make "root" "echo hi > $out; : 1" floating;
  same-root = make "root" "echo hi > $out; : 2" floating;
  itself = make "itself" "mkdir $out; echo $out > $out/me; echo $dev > $out/dev; echo text > $dev" (floating // {
    outputs = [ "out" "dev" ];
  });
  uses-root = make "uses-root" "read x < ${root}; echo \"$x ${itself.dev} ${root}\" > $out" floating;
  uses-same-root = make "uses-root" "read x < ${same-root}; echo \"$x ${itself.dev} ${same-root}\" > $out" floating;
  deferred = make "deferred" "echo ${uses-root} ${itself} > $out" { };
  same-deferred = make "deferred" "echo ${uses-same-root} ${itself} > $out" { };
  deep = make "deep" "echo ${deferred} $more > $out" { more = same-deferred; };
  flat = make "flat" "echo x > $out" (floating // { outputHashMode = "flat"; });
  sha1 = make "sha1" "mkdir $out; echo x > $out/x" (floating // { outputHashAlgo = "sha1"; });
  fixed = make "fixed" "read x < ${root}; echo $x > $out" {
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";
  };
  uses-fixed = make "uses-fixed" "echo ${fixed} > $out" { };
  as-file = make "as-file" "read x < $textPath; echo $x > $out" (floating // {
    passAsFile = [ "text" ];
    text = "${root}\n";
  });
  empty-references = make "empty-references" "echo ${root} > $out" (floating // { allowedReferences = [ root ]; });
  generated = make "generated" "echo '{ answer = 42; }' > $out; : ${root}" floating;
}
