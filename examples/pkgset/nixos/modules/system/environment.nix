# What everybody on the system sees: programs, files in /etc, variables.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
in
{
  options = {
    environment.systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.hello ]";
      description = "Packages on everybody's PATH.";
    };

    environment.variables = mkOption {
      type = types.attrsOf (types.either types.str (types.listOf types.str));
      default = { };
      apply = lib.mapAttrs (_: value: if lib.isList value then lib.concatStringsSep ":" value else value);
      description = "Variables of everybody's sessions; lists are joined with colons.";
    };

    environment.etc = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, config, ... }:
          {
            options = {
              enable = mkOption {
                type = types.bool;
                default = true;
                description = "Whether to make this file.";
              };
              text = mkOption {
                type = types.nullOr types.lines;
                default = null;
                description = "The file's text.";
              };
              source = mkOption {
                type = types.path;
                description = "The file itself.";
              };
            };
            config.source = lib.mkIf (config.text != null) (
              lib.mkDefault (pkgs.writeText "etc-${baseNameOf name}" config.text)
            );
          }
        )
      );
      default = { };
      description = "Files in /etc.";
    };

    networking.hostName = mkOption {
      type = types.strMatching "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
      default = "nixos";
      description = "The machine's name.";
    };
  };

  config = {
    environment.systemPackages = [ pkgs.bashInteractive ];
    environment.variables.PAGER = lib.mkDefault "less -R";
    environment.etc.hostname.text = config.networking.hostName + "\n";
  };
}
