{
  lib,
  stdenv,
  fetchurl,
  openssl,
  zlib,
  opensslSupport ? true,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "curl";
  version = "8.9.0";

  src = fetchurl {
    url = "https://curl.example.org/download/curl-${finalAttrs.version}.tar.xz";
    hash = "sha256-/wnzdFOudH62Fx4USmyGz2vZ5nNzKkAtDP6eWNdXMAY=";
  };

  outputs = [
    "bin"
    "dev"
    "out"
  ];

  buildInputs = [ zlib ] ++ lib.optional opensslSupport openssl;

  configureFlags = [
    "--with-zlib=${lib.getDev zlib}"
    (if opensslSupport then "--with-openssl=${lib.getDev openssl}" else "--without-ssl")
  ];

  meta = {
    description = "Command line tool for transferring files with URL syntax";
    homepage = "https://curl.example.org/";
    license = lib.licenses.curl;
    maintainers = [ lib.maintainers.grace ];
    platforms = lib.platforms.all;
    mainProgram = "curl";
  };
})
