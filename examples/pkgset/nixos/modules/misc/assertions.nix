# Conditions that a configuration must meet.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      internal = true;
      example = [
        {
          assertion = false;
          message = "you cannot have both";
        }
      ];
      description = "What must hold; the messages of those that do not are shown, and evaluation fails.";
    };

    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "What to show when the system is built.";
    };
  };
}
