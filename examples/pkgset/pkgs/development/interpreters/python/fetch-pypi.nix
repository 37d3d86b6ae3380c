# A source distribution from the package index.
{ lib, fetchurl }:
lib.makeOverridable (
  {
    pname,
    version,
    extension ? "tar.gz",
    hash,
  }:
  fetchurl {
    url = "mirror://pypi/${builtins.substring 0 1 pname}/${pname}/${pname}-${version}.${extension}";
    inherit hash;
  }
)
