# What `python -m benchmarks.compare` asks both evaluators. Paths are lists of names; the first is `pkgs` or `nixos`.
{ nixpkgs, system }:
let
  roots = {
    pkgs = import nixpkgs {
      inherit system;
      overlays = [ ];
      config = {
        allowUnfree = true;
        allowBroken = true;
        allowUnsupportedSystem = true;
        allowInsecurePredicate = _: true;
      };
    };
    nixos = builtins.mapAttrs (_: module: (configured module).config.system.build.toplevel) systems;
  };

  configured =
    module:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit system;
      modules = [
        {
          boot.loader.grub.device = "/dev/sda";
          fileSystems."/" = {
            device = "/dev/sda1";
            fsType = "ext4";
          };
          system.stateVersion = "26.05";
        }
        module
      ];
    };

  systems = {
    small.services.openssh.enable = true;
    server =
      { pkgs, ... }:
      {
        networking.firewall.allowedTCPPorts = [
          80
          443
        ];
        services.nginx = {
          enable = true;
          virtualHosts."example.org" = {
            root = "/var/www";
            locations."/api".proxyPass = "http://127.0.0.1:8000";
          };
        };
        services.postgresql = {
          enable = true;
          package = pkgs.postgresql_16;
          ensureDatabases = [ "app" ];
        };
        systemd.services.app = {
          wantedBy = [ "multi-user.target" ];
          script = "exec ${pkgs.python3}/bin/python3 -m http.server 8000";
        };
        users.users.app = {
          isSystemUser = true;
          group = "app";
        };
        users.groups.app = { };
      };
    desktop =
      { pkgs, ... }:
      {
        services.xserver.enable = true;
        services.desktopManager.plasma6.enable = true;
        services.displayManager.sddm.enable = true;
        services.pipewire.enable = true;
        networking.networkmanager.enable = true;
        environment.systemPackages = [
          pkgs.firefox
          pkgs.vim
        ];
        users.users.alice = {
          isNormalUser = true;
          extraGroups = [ "wheel" ];
        };
      };
  };

  follow = builtins.foldl' (set: name: set.${name}) roots;

  attempt =
    value:
    let
      tried = builtins.tryEval value;
    in
    if tried.success then tried.value else null;
in
{
  # The path of a derivation, else the type of a value, null when it throws.
  look =
    path:
    attempt (
      let
        value = follow path;
      in
      if value.type or null == "derivation" then value.drvPath else builtins.typeOf value
    );

  # The names in a set.
  names = path: attempt (builtins.attrNames (follow path));

  # The value itself, for those who want its derivation written.
  value = follow;
}
