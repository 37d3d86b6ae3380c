# Fetches one file whose hash is known.
{
  lib,
  stdenvNoCC,
  curl,
}:
let
  mirrors = import ./mirrors.nix;

  expand =
    url:
    let
      parts = builtins.match "mirror://([a-z]+)/(.*)" url;
      site = builtins.elemAt parts 0;
    in
    if parts == null then
      [ url ]
    else
      map (base: base + builtins.elemAt parts 1) (
        mirrors.${site} or (throw "fetchurl: there is no mirror:// site '${site}'")
      );
in
lib.makeOverridable (
  {
    # Where the file is: one URL, or several that are tried in turn.
    url ? "",
    urls ? [ ],
    # The file's name in the store.
    name ? baseNameOf (toString (builtins.head given)),
    # Its hash, in any of the usual forms, or by the name of its algorithm.
    hash ? "",
    sha256 ? "",
    sha512 ? "",
    # Commands to run on the file once it is there.
    postFetch ? "",
    recursiveHash ? false,
    meta ? { },
    passthru ? { },
    given ? if urls != [ ] then urls else [ url ],
  }:
  let
    output =
      if hash != "" then
        {
          outputHashAlgo = null;
          outputHash = hash;
        }
      else if sha512 != "" then
        {
          outputHashAlgo = "sha512";
          outputHash = sha512;
        }
      else if sha256 != "" then
        {
          outputHashAlgo = "sha256";
          outputHash = sha256;
        }
      else
        throw "fetchurl: no hash for '${builtins.head given}'";
  in
  stdenvNoCC.mkDerivation (
    output
    // {
      inherit name postFetch meta;
      nativeBuildInputs = [ curl ];
      urls = lib.concatMap expand given;
      outputHashMode = if recursiveHash then "recursive" else "flat";
      buildCommand = builtins.readFile ./fetch.sh;
      impureEnvVars = [
        "http_proxy"
        "https_proxy"
      ];
      preferLocalBuild = true;
      passthru = {
        url = builtins.head given;
      }
      // passthru;
    }
  )
)
