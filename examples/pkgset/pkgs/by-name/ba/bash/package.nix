{
  lib,
  stdenv,
  fetchurl,
  interactive ? false,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = if interactive then "bash-interactive" else "bash";
  version = "5.2p${toString (builtins.length finalAttrs.upstreamPatches)}";

  # The release, and the patches that its authors have put out since.
  src = fetchurl {
    url = "mirror://gnu/bash/bash-5.2.tar.gz";
    hash = "sha256-oTnBZt9/9EccXgczBRZC7lVWwcyKSnjxRVg8XIGrMvs=";
  };

  upstreamPatches = map (
    number:
    fetchurl {
      url = "mirror://gnu/bash/bash-5.2-patches/bash52-${lib.fixedWidthString 3 "0" (toString number)}";
      hash = "sha256-${builtins.hashString "md5" (toString number)}AAAAAAAAAAA=";
    }
  ) (lib.range 1 3);

  configureFlags = [ (if interactive then "--with-installed-readline" else "--disable-readline") ];

  passthru.shellPath = "/bin/bash";

  meta = {
    homepage = "https://bash.example.org/";
    description = "GNU Bourne-Again Shell, the de facto standard shell on Linux";
    license = lib.licenses.gpl3Plus;
    platforms = lib.platforms.all;
    mainProgram = "bash";
  };
})
