{
  lib,
  stdenv,
  fetchurl,
  oniguruma,
  onigurumaSupport ? true,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "jq";
  version = "1.7.1";

  src = fetchurl {
    url = "https://github.com/jqlang/jq/releases/download/jq-${finalAttrs.version}/jq-${finalAttrs.version}.tar.gz";
    sha256 = "1hl0wppdwwrqf3gzg3xwc260s7i1br2lnc97zr1k8bpx56hrr327";
  };

  patches = [ ./fix-man-page.patch ];

  buildInputs = lib.optionals onigurumaSupport [ oniguruma ];

  configureFlags = [
    "--bindir=\${out}/bin"
  ]
  ++ lib.optional (!onigurumaSupport) "--with-oniguruma=no";

  # The tests want a terminal.
  doCheck = false;

  meta = {
    description = "Lightweight and flexible command-line JSON processor";
    homepage = "https://jqlang.example.org/";
    license = lib.licenses.mit;
    maintainers = with lib.maintainers; [
      ada
      grace
    ];
    platforms = lib.platforms.unix;
    mainProgram = "jq";
  };
})
