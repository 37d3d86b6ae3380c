# Platforms: what a system string like "x86_64-linux" says.
{ lib }:
let
  cpus = {
    x86_64 = {
      bits = 64;
      family = "x86";
    };
    i686 = {
      bits = 32;
      family = "x86";
    };
    aarch64 = {
      bits = 64;
      family = "arm";
    };
    riscv64 = {
      bits = 64;
      family = "riscv";
    };
  };
  vendors = {
    linux = "unknown";
    darwin = "apple";
  };
  onAny = kernels: cpuNames: lib.concatMap (kernel: map (cpu: "${cpu}-${kernel}") cpuNames) kernels;
in
rec {
  /**
    Everything that follows from a system string, or from a set that has one.
  */
  elaborate =
    systemOrSet:
    let
      given = if builtins.isString systemOrSet then { system = systemOrSet; } else systemOrSet;
      parts = builtins.match "([a-z0-9_]+)-([a-z]+)" given.system;
      cpu = builtins.elemAt parts 0;
      kernel = builtins.elemAt parts 1;
    in
    if parts == null || !(cpus ? ${cpu}) then
      throw "unknown system '${given.system}'"
    else
      {
        inherit (given) system;
        config = "${cpu}-${vendors.${kernel}}-${kernel}${lib.optionalString (kernel == "linux") "-gnu"}";
        parsed = {
          cpu = cpus.${cpu} // {
            name = cpu;
          };
          kernel.name = kernel;
        };
        isLinux = kernel == "linux";
        isDarwin = kernel == "darwin";
        isUnix = true;
        is64bit = cpus.${cpu}.bits == 64;
        isx86_64 = cpu == "x86_64";
        isAarch64 = cpu == "aarch64";
        isStatic = false;
        extensions.sharedLibrary = if kernel == "darwin" then ".dylib" else ".so";
      }
      // given;

  platforms = {
    linux = onAny [ "linux" ] (builtins.attrNames cpus);
    darwin = onAny [ "darwin" ] [
      "aarch64"
      "x86_64"
    ];
    unix = platforms.linux ++ platforms.darwin;
    all = platforms.unix;
    none = [ ];
  };
}
