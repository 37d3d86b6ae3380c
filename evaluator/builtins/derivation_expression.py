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
