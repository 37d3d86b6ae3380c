# lib.evalModules with 300 small modules that depend on each other.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");
  module =
    n:
    { config, lib, ... }:
    {
      options.services."s${toString n}" = {
        enable = lib.mkEnableOption "service ${toString n}";
        port = lib.mkOption {
          type = lib.types.port;
          default = 1000 + n;
        };
        settings = lib.mkOption {
          type = lib.types.attrsOf lib.types.str;
          default = { };
        };
        names = lib.mkOption {
          type = lib.types.listOf lib.types.str;
          default = [ ];
        };
      };
      config = lib.mkIf config.services."s${toString n}".enable {
        services = lib.mkMerge [
          {
            "s${toString n}" = {
              settings.port = toString config.services."s${toString n}".port;
              settings.next = lib.mkDefault "s${toString (lib.mod (n + 1) 300)}";
              names = lib.mkBefore [ "name-${toString n}" ];
            };
          }
          { "s${toString (lib.mod (n * 7) 300)}".names = [ "friend-${toString n}" ]; }
        ];
      };
    };
  modules = map module (lib.range 0 299);
  enabling = {
    services = lib.listToAttrs (
      map (n: lib.nameValuePair "s${toString n}" { enable = lib.mkForce (lib.mod n 3 != 0); }) (lib.range 0 299)
    );
  };
in
builtins.hashString "sha256" (
  builtins.toJSON (lib.evalModules { modules = modules ++ [ enabling ]; }).config.services
)
