{
  lib,
  stdenv,
  fetchurl,
}:

# Not free: refuses to be evaluated without config.allowUnfree.
stdenv.mkDerivation (finalAttrs: {
  pname = "blobware";
  version = "24.1";

  src =
    {
      x86_64-linux = fetchurl {
        url = "https://blobware.example.com/${finalAttrs.version}/linux-x64.tar.gz";
        hash = "sha256-LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=";
      };
      aarch64-linux = fetchurl {
        url = "https://blobware.example.com/${finalAttrs.version}/linux-arm64.tar.gz";
        hash = "sha256-+93f7eFT31+HhHwAfCIRo2X5hKmG65kD7fUI/fcQPxg=";
      };
    }
    .${stdenv.hostPlatform.system} or (throw "blobware: unsupported system ${stdenv.hostPlatform.system}");

  meta = {
    description = "Program that nobody may look into";
    homepage = "https://blobware.example.com";
    license = lib.licenses.unfree;
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
})
