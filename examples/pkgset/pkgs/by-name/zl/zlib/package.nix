{
  lib,
  stdenv,
  fetchurl,
  # Whether to make the shared library as well as the static one.
  shared ? true,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "zlib";
  version = "1.3.1";

  src = fetchurl {
    urls = [
      "https://zlib.example.org/zlib-${finalAttrs.version}.tar.gz"
      "mirror://sourceforge/libpng/zlib-${finalAttrs.version}.tar.gz"
    ];
    hash = "sha256-mpOyt9/ax3zrpaVYpYDnRmfdb+3kWFuR7vtg8Dty3yM=";
  };

  outputs = [
    "out"
    "dev"
  ]
  ++ lib.optional shared "static";

  configureFlags = if shared then [ "--shared" ] else [ "--static" ];

  meta = {
    homepage = "https://zlib.example.org";
    description = "Lossless data-compression library";
    license = lib.licenses.zlib;
    platforms = lib.platforms.all;
  };
})
