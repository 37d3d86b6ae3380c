# This project's packages, for the package set.
final: prev: {
  frobnicate = final.callPackage ./pkgs/frobnicate/package.nix { };

  frobnicate-static = final.frobnicate.override {
    zlib = prev.zlib.override { shared = false; };
    withColour = false;
  };

  # A newer release than the package set has.
  figlet = prev.figlet.overrideAttrs (old: {
    version = "2.2.6";
    patches = old.patches or [ ] ++ [ ./pkgs/frobnicate/figlet-colour.patch ];
  });
}
