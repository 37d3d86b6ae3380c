# The package set as a pure function of platforms, configuration and overlays.
{
  localSystem,
  crossSystem ? localSystem,
  config ? { },
  overlays ? [ ],
}:
let
  lib = import ../../lib;

  checked = lib.throwIfNot (builtins.isList overlays) "overlays: a list of functions is due, this is a ${builtins.typeOf overlays}" overlays;

  buildPlatform = lib.systems.elaborate localSystem;
  hostPlatform = if crossSystem == localSystem then buildPlatform else lib.systems.elaborate crossSystem;

  # A configuration may be a function of the package set that it configures.
  given = if builtins.isFunction config then config { inherit pkgs; } else config;

  evaluated = lib.evalModules {
    prefix = [ "config" ];
    modules = [
      ./config.nix
      {
        _file = "nixpkgs.config";
        config = given;
      }
    ];
  };

  pkgs = import ./stage.nix {
    inherit lib buildPlatform hostPlatform;
    inherit (evaluated) config;
    overlays = checked;
    # The same again with other arguments: what pkgsStatic and the like are made of.
    nixpkgsFun =
      new:
      import ./. (
        {
          inherit
            localSystem
            crossSystem
            config
            overlays
            ;
        }
        // new
      );
  };
in
pkgs
