# Evaluates modules together with all those of the system.
{
  system ? builtins.currentSystem,
  lib ? import ../../lib,
  modules,
  specialArgs ? { },
  pkgs ? null,
}:
let
  given = {
    _file = ./eval-config.nix;
    key = "nixos/lib/eval-config.nix";
    config = {
      nixpkgs.system = lib.mkDefault system;
      _module.args = lib.optionalAttrs (pkgs != null) { pkgs = lib.mkForce pkgs; };
    };
  };
  evaluated = lib.evalModules {
    specialArgs = {
      modulesPath = toString ../modules;
    }
    // specialArgs;
    modules = import ../modules/module-list.nix ++ [ given ] ++ modules;
  };
in
evaluated
// {
  inherit (evaluated._module.args) pkgs;
}
