{
  lib,
  stdenv,
  figlet,
  jq,
  zlib,
  withColour ? true,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "frobnicate";
  version = "1.4.2";

  src = lib.cleanSource ./src;

  nativeBuildInputs = [ figlet ];

  buildInputs = [ zlib ] ++ lib.optional withColour jq;

  configureFlags = [
    (if withColour then "--enable-colour" else "--disable-colour")
    "--with-zlib=${lib.getDev zlib}"
  ];

  passthru.schema = ./src/schema.json;

  meta = {
    description = "Turns the knobs of things that have knobs";
    homepage = "https://frobnicate.example.org/v${lib.versions.major finalAttrs.version}";
    license = lib.licenses.mit;
    mainProgram = "frobnicate";
    platforms = lib.platforms.unix;
  };
})
