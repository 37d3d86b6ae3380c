# The package set as `import <nixpkgs> { }` gives it: impure, in that it asks which machine this is.
#
# It has the shape of nixpkgs in a few hundred lines, to try tools on. The sources that it names do not exist and
# their hashes are made up, so almost nothing of it can be built.
{
  system ? builtins.currentSystem,
  localSystem ? system,
  crossSystem ? localSystem,
  config ? { },
  overlays ? [ ],
}@args:
import ./pkgs/top-level {
  inherit
    localSystem
    crossSystem
    config
    overlays
    ;
}
