# The whole system as one derivation.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  failed = map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);

  checked =
    value:
    if failed != [ ] then
      throw "Failed assertions:\n${lib.concatMapStrings (message: "- ${message}\n") failed}"
    else
      lib.foldr lib.warn value config.warnings;

  files = lib.filter (file: file.enable) (lib.attrValues config.environment.etc);
in
{
  options.system = {
    stateVersion = lib.mkOption {
      type = lib.types.str;
      default = lib.version;
      description = "The release that this system was first installed with.";
    };
    build = lib.mkOption {
      type = lib.types.lazyAttrsOf lib.types.raw;
      default = { };
      description = "Derivations that make up the system.";
    };
  };

  config.system.build = {
    path = pkgs.symlinkJoin {
      name = "system-path";
      paths = config.environment.systemPackages;
    };

    etc = pkgs.runCommand "etc" { sources = map (file: file.source) files; } ''
      mkdir -p $out
      ${lib.concatStringsSep "\n" (
        lib.mapAttrsToList (
          name: file: lib.optionalString file.enable "install -D ${file.source} $out/${name}"
        ) config.environment.etc
      )}
    '';

    toplevel = checked (
      pkgs.runCommand "nixos-system-${config.networking.hostName}-${config.system.stateVersion}" { } ''
        mkdir $out
        ln -s ${config.system.build.path} $out/sw
        ln -s ${config.system.build.etc} $out/etc
      ''
    );
  };
}
