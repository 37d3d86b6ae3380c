# Two versions of one package, one of them past its end of life.
{
  lib,
  stdenv,
  fetchurl,
}:
let
  common =
    {
      version,
      hash,
      knownVulnerabilities ? [ ],
    }:
    stdenv.mkDerivation (finalAttrs: {
      pname = "openssl";
      inherit version;

      src = fetchurl {
        url = "https://openssl.example.org/source/openssl-${finalAttrs.version}.tar.gz";
        inherit hash;
      };

      outputs = [
        "bin"
        "dev"
        "out"
        "man"
      ];

      configureFlags = [
        "shared"
        "--libdir=lib"
        "--openssldir=etc/ssl"
      ];

      meta = {
        homepage = "https://openssl.example.org/";
        description = "Cryptographic library that implements the SSL and TLS protocols";
        license = lib.licenses.asl20;
        maintainers = [ lib.maintainers.grace ];
        platforms = lib.platforms.all;
        mainProgram = "openssl";
        inherit knownVulnerabilities;
      };
    });
in
{
  openssl_1_1 = common {
    version = "1.1.1w";
    hash = "sha256-zzCYlQy02FOtlcCEHx+cbT3BAtzPys1SHZOSUgi3asg=";
    knownVulnerabilities = [ "OpenSSL 1.1 is no longer maintained" ];
  };

  openssl_3 = common {
    version = "3.3.1";
    hash = "sha256-d3zVlihMiDN1oqehG/XSeG/FQTJV76sgxQ1v/m0CC34=";
  };
}
