# Packages that need other arguments than by-name gives them, variants of one package, and package sets.
final: prev:
with final;
{
  bashInteractive = bash.override { interactive = true; };

  # curl fetches sources, so its own must come in another way.
  curl = callPackage ../by-name/cu/curl/package.nix {
    fetchurl = stdenv.fetchurlBoot;
    zlib = zlib.override { fetchurl = stdenv.fetchurlBoot; };
    openssl = openssl.override { fetchurl = stdenv.fetchurlBoot; };
  };
  curlMinimal = curl.override {
    opensslSupport = false;
  };

  fetchurl = callPackage ../build-support/fetchurl { };
  fetchFromGitHub = callPackage ../build-support/fetchgithub.nix { };

  jqMinimal = jq.override { onigurumaSupport = false; };

  libressl = throw "'libressl' has been removed from this package set; use 'openssl'"; # Added 2026-01-15

  mkShell = callPackage ../build-support/mkshell { };
  mkShellNoCC = mkShell.override { stdenv = stdenvNoCC; };

  inherit (callPackages ../development/openssl.nix { }) openssl_1_1 openssl_3;
  openssl = openssl_3;

  python311 = callPackage ../development/interpreters/python {
    version = "3.11.9";
    hash = "sha256-nCwl4X1iwJWhBMRWoL4jBNoHxWRzQ5xiHcVkX0dnH9o=";
  };
  python312 = callPackage ../development/interpreters/python {
    version = "3.12.5";
    hash = "sha256-+oouEsXmILCfU+ZbzYdVDS5aHi4Ev4upkdzFUROHY5c=";
  };
  python3 = python312;

  python311Packages = recurseIntoAttrs python311.pkgs;
  python312Packages = recurseIntoAttrs python312.pkgs;
  python3Packages = python312Packages;

  sqlite-interactive = sqlite.override { interactive = true; };

  # Old names.
  sqlite3 = sqlite;
  gnuhello = lib.warn "'gnuhello' has been renamed to 'hello'" hello;
}
