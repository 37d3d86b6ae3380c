# <nix/fetchurl.nix>: a fixed-output derivation that the builder fetches itself (`builtin:fetchurl`).
# Its attributes decide the derivation's hash, so they are those of C++ Nix, to the letter.
{
  url,
  name ? baseNameOf (toString url),
  executable ? false,
  unpack ? false,
  system ? "", # accepted for old callers; the platform is always "builtin"

  # The hash: as an SRI string, or by algorithm.
  hash ? "",
  md5 ? "",
  sha1 ? "",
  sha256 ? "",
  sha512 ? "",
  outputHash ?
    if hash != "" then
      hash
    else if sha512 != "" then
      sha512
    else if sha1 != "" then
      sha1
    else if md5 != "" then
      md5
    else
      sha256,
  outputHashAlgo ?
    if hash != "" then
      ""
    else if sha512 != "" then
      "sha512"
    else if sha1 != "" then
      "sha1"
    else if md5 != "" then
      "md5"
    else
      "sha256",
}:

derivation {
  inherit
    name
    url
    executable
    unpack
    outputHash
    outputHashAlgo
    ;
  outputHashMode = if unpack || executable then "recursive" else "flat";
  builder = "builtin:fetchurl";
  system = "builtin";
  urls = [ url ];
  preferLocalBuild = true;
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
  ];
}
