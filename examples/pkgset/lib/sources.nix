# Which files of a folder go into a build.
{ lib }:
let
  inherit (lib) any hasPrefix hasSuffix;
in
{
  /**
    A source folder without version control, editors' backups and results of builds.
  */
  cleanSource =
    src:
    builtins.path {
      name = "source";
      path = src;
      filter =
        path: type:
        let
          base = baseNameOf path;
        in
        !(
          (type == "directory" && base == ".git")
          || (type == "symlink" && hasPrefix "result" base)
          || any (suffix: hasSuffix suffix base) [ "~" ".swp" ".o" ]
        );
    };

  sourceFilesBySuffices =
    src: suffixes:
    builtins.filterSource (
      path: type: type == "directory" || any (suffix: hasSuffix suffix (baseNameOf path)) suffixes
    ) src;
}
