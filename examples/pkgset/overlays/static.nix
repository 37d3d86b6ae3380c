# Everything linked statically: the overlay of `pkgsStatic`, and an example of one.
final: prev: {
  stdenv = prev.stdenv.override {
    mkDerivationArgs = old: {
      configureFlags = old.configureFlags or [ ] ++ [
        "--enable-static"
        "--disable-shared"
      ];
    };
  };

  zlib = prev.zlib.override { shared = false; };

  hello = prev.hello.overrideAttrs (
    finalAttrs: previousAttrs: {
      pname = "${previousAttrs.pname}-static";
      doCheck = false;
    }
  );
}
