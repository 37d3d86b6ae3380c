import ../lib.nix { x = 1; }
