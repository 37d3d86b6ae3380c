# What `config` may say, as options.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  allow =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to let ${what} packages be evaluated.";
    };
in
{
  options = {
    allowUnfree = allow "unfree";
    allowBroken = allow "broken";
    allowUnsupportedSystem = allow "this platform's unsupported";

    permittedInsecurePackages = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "openssl-1.1.1w" ];
      description = "Names of packages with known vulnerabilities that may be evaluated all the same.";
    };

    packageOverrides = mkOption {
      type = types.functionTo types.raw;
      default = _: { };
      description = "An overlay in the old style: a function of the package set below it.";
    };

    doCheckByDefault = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to run tests when a package does not say.";
    };
  };
}
