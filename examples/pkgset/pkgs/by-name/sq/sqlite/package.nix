{
  lib,
  stdenv,
  fetchurl,
  zlib,
  interactive ? false,
}:

let
  # 3.46.0 is 3460000 in the names of archives.
  archiveVersion =
    version:
    let
      parts = builtins.splitVersion version;
      pad = lib.fixedWidthString 2 "0";
    in
    builtins.head parts + lib.concatMapStrings pad (builtins.tail parts) + "00";
in
stdenv.mkDerivation rec {
  pname = "sqlite${lib.optionalString interactive "-interactive"}";
  version = "3.46.0";

  src = fetchurl {
    url = "https://sqlite.example.org/2024/sqlite-autoconf-${archiveVersion version}.tar.gz";
    hash = "sha256-b45qezNSc3SIFvmztiu9w3Koid6HgtfwSMZTpEdBen4=";
  };

  outputs = [
    "bin"
    "dev"
    "out"
  ];

  buildInputs = [ zlib ];

  env.CFLAGS = toString [
    "-DSQLITE_ENABLE_COLUMN_METADATA"
    "-DSQLITE_ENABLE_FTS5"
    "-DSQLITE_SECURE_DELETE"
  ];

  meta = {
    homepage = "https://sqlite.example.org/";
    description = "Self-contained, serverless, zero-configuration, transactional SQL database engine";
    license = lib.licenses.publicDomain;
    platforms = lib.platforms.unix;
    mainProgram = "sqlite3";
  };
}
