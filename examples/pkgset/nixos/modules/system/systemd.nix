# Services.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  unit = service: ''
    [Unit]
    Description=${service.description}
    ${lib.concatMapStringsSep "\n" (other: "After=${other}") service.after}

    [Service]
    ${lib.concatStringsSep "\n" (lib.mapAttrsToList (name: value: "${name}=${show value}") service.serviceConfig)}
    ${service.extraConfig}
    [Install]
    ${lib.concatMapStringsSep "\n" (other: "WantedBy=${other}") service.wantedBy}
  '';

  show = value: if builtins.isBool value then lib.boolToString value else toString value;

  list =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
in
{
  options.systemd.services = mkOption {
    type = types.attrsOf (
      types.submodule {
        options = {
          description = mkOption {
            type = types.str;
            default = "";
            description = "What the service is.";
          };
          wantedBy = list "Units that start this one.";
          after = list "Units that must have started before.";
          serviceConfig = mkOption {
            type = types.attrsOf types.raw;
            default = { };
            description = "The unit's [Service] section.";
          };
          extraConfig = mkOption {
            type = types.lines;
            default = "";
            description = "More lines of the [Service] section.";
          };
        };
      }
    );
    default = { };
    description = "Services that the system runs.";
  };

  config.environment.etc = lib.mapAttrs' (
    name: service: lib.nameValuePair "systemd/system/${name}.service" { text = unit service; }
  ) config.systemd.services;
}
