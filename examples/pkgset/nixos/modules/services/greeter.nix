# A service that greets whoever connects.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.greeter;

  settings = pkgs.writeText "greeter.json" (builtins.toJSON cfg.settings);
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "services" "greeter" "listenPort" ] [ "services" "greeter" "port" ])
  ];

  options.services.greeter = {
    enable = lib.mkEnableOption "the greeter";

    package = lib.mkPackageOption pkgs "greet" { };

    port = lib.mkOption {
      type = lib.types.port;
      default = 4040;
      description = "The port to listen on.";
    };

    language = lib.mkOption {
      type = lib.types.enum [
        "en"
        "de"
        "eo"
      ];
      default = "en";
      description = "The language to greet in.";
    };

    settings = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.oneOf [
          lib.types.bool
          lib.types.int
          lib.types.str
        ]
      );
      default = { };
      description = "Contents of the configuration file.";
    };

    extraConfig = lib.mkOption {
      type = lib.types.lines;
      default = "";
      description = "Lines to put at the end of the unit.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.port >= 1024;
        message = "services.greeter.port: ports under 1024 are for root";
      }
    ];

    services.greeter.settings = {
      inherit (cfg) port;
      language = lib.mkDefault cfg.language;
    };

    environment.systemPackages = [ cfg.package ];

    systemd.services.greeter = {
      description = "Greeter";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        ExecStart = "${lib.getExe cfg.package} --config ${settings}";
        DynamicUser = true;
      };
      inherit (cfg) extraConfig;
    };
  };
}
