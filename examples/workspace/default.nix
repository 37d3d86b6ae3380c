# A project that uses a package set: `nix-build` makes its program.
{
  pkgs ? import <nixpkgs> { },
}:
let
  inherit (pkgs) lib;

  version = lib.fileContents ./VERSION;

  # The package set with this project's own packages in it.
  extended = pkgs.extend (import ./overlay.nix);

  python = pkgs.python3.withPackages (ps: [
    ps.flask
    ps.requests
  ]);

  tools = [
    pkgs.jq
    pkgs.curl
    python
  ];
in
{
  inherit version tools;

  inherit (extended) frobnicate frobnicate-static;

  docs = pkgs.writeText "frobnicate-${version}.txt" ''
    frobnicate ${version}
    needs ${lib.concatMapStringsSep ", " lib.getName tools}
  '';
}
