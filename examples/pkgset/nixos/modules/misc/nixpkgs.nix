# Which package set modules see as `pkgs`.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.nixpkgs;
in
{
  options.nixpkgs = {
    system = mkOption {
      type = types.str;
      example = "aarch64-linux";
      description = "The platform that the system is for.";
    };
    config = mkOption {
      type = types.anything;
      default = { };
      example = {
        allowUnfree = true;
      };
      description = "Configuration of the package set.";
    };
    overlays = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      description = "Overlays on the package set.";
    };
  };

  config._module.args.pkgs = lib.mkDefault (
    import ../../.. {
      inherit (cfg) system config overlays;
    }
  );
}
