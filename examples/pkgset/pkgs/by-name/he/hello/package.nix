{
  lib,
  stdenv,
  fetchurl,
  runCommand,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "hello";
  version = "2.12.3";

  src = fetchurl {
    url = "mirror://gnu/hello/hello-${finalAttrs.version}.tar.gz";
    hash = "sha256-iWbFxF22Hyn2xqZFHiQxaXrR0SPAzbIuGsXrzFvgrRU=";
  };

  doCheck = true;

  passthru.tests = {
    version = runCommand "hello-test-version" { } ''
      ${lib.getExe finalAttrs.finalPackage} --version | grep -F ${finalAttrs.version} > $out
    '';
  };

  meta = {
    description = "Program that produces a familiar, friendly greeting";
    longDescription = ''
      It prints "Hello, world!" and stands in every package set, so that there is
      something to try things on.
    '';
    homepage = "https://hello.example.org/manual/";
    changelog = "https://hello.example.org/news/v${finalAttrs.version}";
    license = lib.licenses.gpl3Plus;
    maintainers = with lib.maintainers; [ ada ];
    mainProgram = "hello";
    platforms = lib.platforms.all;
  };
})
