# An environment to work in: a derivation that is entered, not built.
{ lib, stdenv }:
let
  mkShell =
    {
      name ? "nix-shell",
      # Packages to have at hand.
      packages ? [ ],
      # Packages whose own inputs to have at hand.
      inputsFrom ? [ ],
      shellHook ? "",
      ...
    }@attrs:
    let
      inputs =
        kind:
        attrs.${kind} or [ ]
        ++ lib.subtractLists inputsFrom (lib.concatMap (package: package.${kind} or [ ]) inputsFrom);
      rest = removeAttrs attrs [
        "packages"
        "inputsFrom"
      ];
    in
    stdenv.mkDerivation (
      rest
      // {
        inherit name;
        nativeBuildInputs = packages ++ inputs "nativeBuildInputs";
        buildInputs = inputs "buildInputs";
        propagatedBuildInputs = inputs "propagatedBuildInputs";
        shellHook = lib.concatStringsSep "\n" (
          lib.catAttrs "shellHook" (lib.reverseList inputsFrom ++ [ attrs ])
        );
        phases = [ "buildPhase" ];
        buildPhase = "export > $out";
        preferLocalBuild = true;
      }
    );
in
lib.makeOverridable ({ stdenv }: args: mkShell args) { inherit stdenv; }
