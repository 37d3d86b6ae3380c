# An interpreter, with its packages in `pkgs` and an environment with some of them by `withPackages`.
{
  lib,
  stdenv,
  fetchurl,
  newScope,
  sqlite,
  zlib,
  openssl,
  symlinkJoin,
  version,
  hash,
  # An overlay over the packages of this interpreter.
  packageOverrides ? final: prev: { },
}:
let
  python = stdenv.mkDerivation (finalAttrs: {
    pname = "python3";
    inherit version;

    src = fetchurl {
      url = "https://python.example.org/ftp/python/${finalAttrs.version}/Python-${finalAttrs.version}.tar.xz";
      inherit hash;
    };

    buildInputs = [
      zlib
      openssl
      sqlite
    ];

    passthru = rec {
      pythonVersion = lib.versions.majorMinor finalAttrs.version;
      executable = "python${pythonVersion}";
      sitePackages = "lib/${executable}/site-packages";
      interpreter = "${finalAttrs.finalPackage}/bin/${executable}";

      pkgs = (lib.makeScope newScope (import ../../../top-level/python-packages.nix finalAttrs.finalPackage)).overrideScope packageOverrides;

      /**
        The interpreter with the packages that the function picks from its set.
      */
      withPackages =
        pick:
        symlinkJoin {
          name = "python3-${finalAttrs.version}-env";
          paths = [ finalAttrs.finalPackage ] ++ pkgs.requiredPythonModules (pick pkgs);
        };
    };

    meta = {
      description = "High-level dynamically-typed programming language";
      homepage = "https://python.example.org";
      license = lib.licenses.mit;
      platforms = lib.platforms.unix;
      mainProgram = finalAttrs.passthru.executable;
    };
  });
in
python
