# The standard environment: a derivation with a setup script, and the function that makes packages with it.
{
  lib,
  config,
  pkgs,
  buildPlatform,
  hostPlatform,
}:
let
  # Sources for what is needed before there is a fetchurl: Nix itself fetches them.
  fetchurlBoot = import ../build-support/fetchurl/boot.nix { inherit (buildPlatform) system; };

  bootstrapTools = derivation {
    name = "bootstrap-tools";
    inherit (buildPlatform) system;
    builder = "/bin/sh";
    args = [
      "-e"
      ./unpack-bootstrap-tools.sh
    ];
    tarball = fetchurlBoot {
      url = "https://example.org/bootstrap/${buildPlatform.system}/bootstrap-tools.tar.xz";
      hash = "sha256-YQlr088HPoVWBU2jpPhpIMyOyoEDZYDw1y60SGGbUM0=";
    };
  };

  make =
    {
      name ? "stdenv-${hostPlatform.parsed.kernel.name}",
      hasCC ? true,
      initialPath ? [ bootstrapTools ],
      shell ? "${bootstrapTools}/bin/bash",
      mkDerivationArgs ? _: { },
    }:
    let
      environment = derivation {
        inherit name initialPath shell;
        inherit (buildPlatform) system;
        builder = shell;
        args = [
          "-e"
          ./builder.sh
        ];
        setup = ./setup.sh;
        defaultNativeBuildInputs = lib.optional hasCC ./cc-hook.sh;
        preHook = lib.optionalString hostPlatform.isDarwin "export NIX_DONT_SET_RPATH=1";
      };

      stdenv =
        environment
        // {
          meta = {
            description = "The environment that packages are built in";
            platforms = lib.platforms.all;
          };

          inherit
            buildPlatform
            hostPlatform
            fetchurlBoot
            hasCC
            shell
            initialPath
            ;
          targetPlatform = hostPlatform;
          inherit (hostPlatform) system isLinux isDarwin;

          cc = if hasCC then bootstrapTools // { isGNU = true; } else null;

          mkDerivation = import ./make-derivation.nix {
            inherit
              lib
              config
              stdenv
              mkDerivationArgs
              ;
          };
        };
    in
    stdenv;
in
lib.makeOverridable make { }
