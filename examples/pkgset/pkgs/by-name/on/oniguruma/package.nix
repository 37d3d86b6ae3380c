{
  lib,
  stdenv,
  fetchFromGitHub,
}:

stdenv.mkDerivation rec {
  pname = "oniguruma";
  version = "6.9.9";

  src = fetchFromGitHub {
    owner = "kkos";
    repo = "oniguruma";
    rev = "v${version}";
    hash = "sha256-Lv3Qf5jBXwzBvKCCIe0yM3xhA1VeNFWbfI0mMqWoWk8=";
  };

  outputs = [
    "dev"
    "lib"
    "out"
  ];

  meta = {
    homepage = "https://github.com/kkos/oniguruma";
    description = "Regular expressions library";
    license = lib.licenses.bsd2;
    platforms = lib.platforms.unix;
  };
}
