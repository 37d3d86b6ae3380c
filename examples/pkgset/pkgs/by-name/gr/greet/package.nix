{
  lib,
  stdenv,
  bash,
  figlet,
  hello,
  # Who is greeted.
  who ? "world",
}:

stdenv.mkDerivation {
  pname = "greet";
  version = lib.fileContents ./src/VERSION;

  src = lib.cleanSource ./src;

  nativeBuildInputs = [ figlet ];
  buildInputs = [ bash ];

  env.WHO = who;

  installPhase = ''
    mkdir -p $out/bin
    substitute greet.sh $out/bin/greet --subst-var-by hello ${lib.getExe hello} --subst-var WHO
    chmod +x $out/bin/greet
  '';

  meta = {
    description = "Greets ${who}; its source is right beside it";
    license = with lib.licenses; [
      mit
      cc0
    ];
    platforms = lib.platforms.linux;
    mainProgram = "greet";
  };
}
