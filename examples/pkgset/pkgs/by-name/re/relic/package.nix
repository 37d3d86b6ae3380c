{
  lib,
  stdenv,
  fetchurl,
  openssl_1_1,
}:

stdenv.mkDerivation {
  name = "relic-0.9pre7";

  src = fetchurl {
    url = "https://relic.example.org/relic-0.9pre7.tar.gz";
    hash = "sha256-fTjpN9XzgQqyuTVqRlXlt0iVvR1KCVPJq6gOwbLBiB0=";
  };

  buildInputs = [ openssl_1_1 ];

  meta = {
    description = "Program that has not built for years";
    license = lib.licenses.gpl2Plus;
    platforms = lib.platforms.linux;
    broken = true;
  };
}
