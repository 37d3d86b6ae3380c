# Who may log in.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  userOptions =
    { name, config, ... }:
    {
      options = {
        name = mkOption {
          type = types.strMatching "[a-z_][a-z0-9_-]*";
          description = "The name to log in with; that of the attribute if it is not set.";
        };
        uid = mkOption {
          type = types.nullOr types.int;
          default = null;
          description = "The user's number; null lets the system choose.";
        };
        isNormalUser = mkOption {
          type = types.bool;
          default = false;
          description = "Whether this is a person's account.";
        };
        home = mkOption {
          type = types.path;
          default = "/var/empty";
          description = "The home directory.";
        };
        shell = mkOption {
          type = types.package;
          default = pkgs.bash;
          defaultText = lib.literalExpression "pkgs.bash";
          description = "The login shell.";
        };
        extraGroups = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "wheel" ];
          description = "Groups beside the user's own.";
        };
      };

      config = lib.mkMerge [
        { name = lib.mkDefault name; }
        (lib.mkIf config.isNormalUser { home = lib.mkDefault "/home/${config.name}"; })
      ];
    };

  line =
    user:
    "${user.name}:x:${toString (if user.uid == null then 1000 else user.uid)}:100::${user.home}:${lib.getExe user.shell}";
in
{
  options.users.users = mkOption {
    type = types.attrsOf (types.submodule userOptions);
    default = { };
    example = {
      ada = {
        isNormalUser = true;
        extraGroups = [ "wheel" ];
      };
    };
    description = "Accounts.";
  };

  config = {
    users.users.root = {
      uid = 0;
      home = lib.mkDefault "/root";
    };

    environment.etc.passwd.text = lib.concatLines (map line (lib.attrValues config.users.users));
  };
}
