{
  pkgs ? import <nixpkgs> { },
}:
let
  project = import ./default.nix { inherit pkgs; };
in
pkgs.mkShell {
  packages = project.tools ++ [ pkgs.sqlite ];
  inputsFrom = [ project.frobnicate ];

  FROBNICATE_VERSION = project.version;

  shellHook = ''
    echo "frobnicate ${project.version}: $(type -p jq)"
  '';
}
