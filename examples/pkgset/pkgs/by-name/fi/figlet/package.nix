{
  lib,
  stdenv,
  fetchurl,
  contributed ? fetchurl {
    url = "https://figlet.example.org/contributed.tar.gz";
    hash = "sha256-AhyJ4D7bEMExvXdbs2+5hW7pMU2PNIiEHYnWgTx+FXA=";
  },
}:

stdenv.mkDerivation {
  pname = "figlet";
  version = "2.2.5";

  src = fetchurl {
    url = "https://figlet.example.org/program/figlet-2.2.5.tar.gz";
    sha512 = "3AmF/ONIm1jC9ZZpUo1BG7p+FSCkVHHU2hNlbQOcDlOdOP6zB2ibC60+lcjTStR6hHhoEo1KEuGmFTXxqA0Kag==";
  };

  postInstall = "tar -xf ${contributed} -C $out/share/figlet";

  meta = {
    description = "Program for making large letters out of ordinary text";
    homepage = "https://figlet.example.org/";
    license = lib.licenses.bsd3;
    platforms = lib.platforms.unix;
    mainProgram = "figlet";
  };
}
