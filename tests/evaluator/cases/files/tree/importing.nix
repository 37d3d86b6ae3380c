import ./lib.nix { x = 5; }
