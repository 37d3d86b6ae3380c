"""Where things are kept: castores (memory, a local folder, gRPC) and stores of archives (Nix's own, binary caches)."""
