# A system from a configuration file: `import <nixpkgs/nixos> { configuration = ./configuration.nix; }`.
{
  configuration ? throw "nixos: no configuration is given",
  system ? builtins.currentSystem,
}:
let
  evaluated = import ./lib/eval-config.nix {
    inherit system;
    modules = [ configuration ];
  };
in
{
  inherit (evaluated) config options pkgs;
  system = evaluated.config.system.build.toplevel;
}
