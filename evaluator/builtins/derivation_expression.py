"""What is written in Nix: ``derivation`` itself, the function around ``derivationStrict``, and ``<nix/fetchurl.nix>``.

It has to be lazy: asking a derivation for an attribute that was passed to it must not compute its paths.
"""

from __future__ import annotations

from typing import Final

DERIVATION: Final = """
arguments@{ outputs ? [ "out" ], ... }:
let
  computed = derivationStrict arguments;
  every = map (outputName: {
    name = outputName;
    value = shared // {
      inherit outputName;
      outPath = builtins.getAttr outputName computed;
      drvPath = computed.drvPath;
      type = "derivation";
    };
  }) outputs;
  shared = arguments // builtins.listToAttrs every // {
    all = map (output: output.value) every;
    drvAttrs = arguments;
  };
in
(builtins.head every).value
"""

FETCHURL_PATH: Final = "/__corepkgs__/fetchurl.nix"
"""What ``<nix/fetchurl.nix>`` means: a file that comes with Nix itself and is on no disk."""

FETCHURL: Final = """
{ url
, name ? baseNameOf (toString url)
, executable ? false
, unpack ? false
, impure ? false
, system ? ""
, hash ? ""
, md5 ? "", sha1 ? "", sha256 ? "", sha512 ? ""
, legacy ? builtins.filter (algo: algo.text != "") [
    { name = "sha512"; text = sha512; }
    { name = "sha1"; text = sha1; }
    { name = "md5"; text = md5; }
  ] ++ [ { name = "sha256"; text = sha256; } ]
, outputHash ? if hash != "" then hash else (builtins.head legacy).text
, outputHashAlgo ? if hash != "" then "" else (builtins.head legacy).name
}:
derivation ({
  inherit name url executable unpack;
  urls = [ url ];
  system = "builtin";
  builder = "builtin:fetchurl";
  outputHashMode = if executable || unpack then "recursive" else "flat";
  preferLocalBuild = true;
  impureEnvVars = map (kind: "${kind}_proxy") [ "http" "https" "ftp" "all" "no" ];
} // (if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; }))
"""
