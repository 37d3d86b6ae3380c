# A system service that turns a knob.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;

  cfg = config.services.frobnicate;
in
{
  options.services.frobnicate = {
    enable = lib.mkEnableOption "the frobnicator";

    package = lib.mkPackageOption pkgs "frobnicate" { };

    knobs = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            setting = mkOption {
              type = types.ints.between 0 11;
              default = 5;
              description = "How far to turn it.";
            };
            label = mkOption {
              type = types.str;
              default = "";
              description = "What to write under it.";
            };
          };
        }
      );
      default = { };
      example = {
        volume.setting = 11;
      };
      description = "The knobs, by name.";
    };
  };

  config = mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    environment.etc."frobnicate.json".text = builtins.toJSON cfg.knobs;

    systemd.services = lib.mapAttrs' (
      name: knob:
      lib.nameValuePair "frobnicate-${name}" {
        description = "Knob ${name}";
        wantedBy = [ "multi-user.target" ];
        serviceConfig.ExecStart = "${lib.getExe cfg.package} ${toString knob.setting}";
      }
    ) cfg.knobs;
  };
}
