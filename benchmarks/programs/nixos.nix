# A small NixOS system, up to the derivation of its toplevel.
{ nixpkgs }:
(import (nixpkgs + "/nixos/lib/eval-config.nix") {
  system = "x86_64-linux";
  modules = [
    {
      boot.loader.grub.device = "/dev/sda";
      fileSystems."/" = {
        device = "/dev/sda1";
        fsType = "ext4";
      };
      services.openssh.enable = true;
      system.stateVersion = "26.05";
    }
  ];
}).config.system.build.toplevel.drvPath
