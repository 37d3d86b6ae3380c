# A machine that runs the service: `import <nixpkgs/nixos> { configuration = ./configuration.nix; }`.
{ lib, pkgs, ... }:
{
  imports = [ ./modules/frobnicate.nix ];

  nixpkgs.overlays = [ (import ./overlay.nix) ];

  networking.hostName = "workbench";

  users.users.ada = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
  };

  environment.systemPackages = with pkgs; [
    hello
    jq
  ];
  environment.variables.EDITOR = lib.mkForce "ed";

  services.frobnicate = {
    enable = true;
    knobs = {
      volume.setting = 11;
      balance.label = "left and right";
    };
  };

  services.greeter = {
    enable = true;
    language = "eo";
    extraConfig = "Restart=always";
  };

  system.stateVersion = "26.05";
}
