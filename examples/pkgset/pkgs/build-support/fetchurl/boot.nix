# fetchurl for those packages that the real one needs: no curl, no mirrors.
{ system }:
{
  url ? builtins.head urls,
  urls ? [ ],
  name ? baseNameOf (toString url),
  hash ? "",
  sha256 ? "",
}:
derivation {
  inherit name system;
  url =
    let
      mirror = builtins.match "mirror://([a-z]+)/(.*)" url;
      mirrors = import ./mirrors.nix;
    in
    if mirror == null then
      url
    else
      builtins.head mirrors.${builtins.elemAt mirror 0} + builtins.elemAt mirror 1;
  builder = "builtin:fetchurl";
  outputHash = if hash != "" then hash else sha256;
  outputHashAlgo = if hash != "" then null else "sha256";
  outputHashMode = "flat";
  preferLocalBuild = true;
  __ignoreNulls = true;
}
