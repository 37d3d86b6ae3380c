# Stacks the overlays that make up the package set and ties the knot.
{
  lib,
  config,
  overlays,
  buildPlatform,
  hostPlatform,
  nixpkgsFun,
}:
let
  foundation = final: {
    inherit lib config overlays;
    stdenv = import ../stdenv {
      inherit
        lib
        config
        buildPlatform
        hostPlatform
        ;
      pkgs = final;
    };
    stdenvNoCC = final.stdenv.override { hasCC = false; };
  };

  platforms = final: prev: {
    inherit buildPlatform hostPlatform;
    targetPlatform = hostPlatform;
    inherit (hostPlatform) system;
  };

  # What functions of the set look in for their arguments.
  plumbing = final: prev: {
    callPackage = final.newScope { };
    callPackages = lib.callPackagesWith final;
    newScope = extra: lib.callPackageWith (final // extra);

    pkgs = final;
    recurseIntoAttrs = lib.recurseIntoAttrs;

    /**
      The set with more overlays on top. Everything is evaluated anew.
    */
    extend = overlay: final.appendOverlays [ overlay ];
    appendOverlays = more: nixpkgsFun { overlays = overlays ++ more; };

    pkgsStatic = nixpkgsFun {
      crossSystem = hostPlatform // {
        isStatic = true;
      };
      overlays = overlays ++ [ (import ../../overlays/static.nix) ];
    };
  };

  allPackages = final: prev: import ./all-packages.nix final prev;

  configured = final: prev: config.packageOverrides prev;

  layers = [
    platforms
    plumbing
    (import ../build-support/trivial-builders.nix)
    (import ./by-name-overlay.nix ../by-name)
    allPackages
    configured
  ]
  ++ overlays;
in
lib.fix (lib.extends (lib.composeManyExtensions layers) foundation)
