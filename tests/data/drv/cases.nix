# Derivations that exercise every corner of their format. `tests/store/test_against_nix.py` compares the frozen
# .drv files beside this file with what Nix writes for it.
let
  make = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
  fetched = args: make ({ outputHashMode = "flat"; } // args);
  floating = make {
    name = "floating";
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputs = [ "out" "dev" ];
  };
  impure = make {
    name = "impure";
    __impure = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };
  several = make {
    name = "several-1.0";
    outputs = [ "lib" "out" "dev" ];
    self = placeholder "dev";
  };
  # Two ways to fetch the same thing: one hash stands for both in whatever uses them.
  mirror1 = fetched { name = "mirrored"; url = "http://one"; outputHash = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0"; outputHashAlgo = "sha256"; };
  sha = digit: builtins.concatStringsSep "" (builtins.genList (_: digit) 64);
  file = builtins.toFile "plain.txt" "text";
in
{
  minimal = make { name = "minimal"; };
  strange-name = make { name = "0+-._=Az"; };
  arguments = make { name = "arguments"; args = [ "" "-c" "echo \"$out\" \\ \n\r\t '\${x}'" "-c" ]; };
  escapes = make { name = "escapes"; text = "\\\"\n\r\t\\n''\$\\\\"; "quote\"d" = "x"; "tab\t" = "y"; };
  unicode = make { name = "unicode"; "é" = "naïve ☃ 😀"; "￿" = "1"; "😀" = "2"; "Z" = "3"; "z" = "4"; };
  not-utf8 = make { name = "not-utf8"; bytes = builtins.readFile ./not-utf8.bin; ${builtins.readFile ./not-utf8.bin} = "key"; "é" = "x"; "￼" = "y"; };
  types = make { name = "types"; t = true; f = false; n = null; i = -42; l = [ 1 "two" [ 3 ] ]; };
  inherit several floating impure;
  text-inputs = make { name = "text-inputs"; inherit file; again = builtins.toFile "refers" "to ${file}"; };
  uses-several = make { name = "uses-several"; inputs = [ several.dev several.lib several ]; inherit file; };
  closure = make { name = "closure"; drv = several.drvPath; };
  only-drv = make { name = "only-drv"; drv = builtins.unsafeDiscardOutputDependency several.drvPath; };
  structured = make { name = "structured"; __structuredAttrs = true; outputs = [ "out" "doc" ]; list = [ 1 { a = "é\n"; } ]; inherit several; };
  flat-sha256 = fetched { name = "flat-sha256"; outputHash = sha "a"; outputHashAlgo = "sha256"; };
  recursive-sha256 = make { name = "recursive-sha256"; outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "recursive"; };
  flat-md5 = fetched { name = "flat-md5"; outputHash = "d41d8cd98f00b204e9800998ecf8427e"; outputHashAlgo = "md5"; };
  recursive-sha1 = make { name = "recursive-sha1"; outputHash = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="; outputHashMode = "recursive"; };
  flat-sha512 = fetched { name = "flat-sha512"; outputHash = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="; };
  empty-hash = fetched { name = "empty-hash"; outputHash = ""; outputHashAlgo = "sha256"; };
  inherit mirror1;
  mirrored = make {
    name = "mirrored-user";
    mirror2 = fetched { name = "mirrored"; url = "http://two"; outputHash = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0"; outputHashAlgo = "sha256"; };
    inherit mirror1;
  };
  after-floating = make { name = "after-floating"; inherit floating; dev = floating.dev; };
  after-after-floating = make { name = "after-after-floating"; input = make { name = "after-floating"; inherit floating; dev = floating.dev; }; };
  after-impure = make { name = "after-impure"; __impure = true; inherit impure; };
}
