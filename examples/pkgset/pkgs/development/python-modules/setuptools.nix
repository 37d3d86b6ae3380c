{
  lib,
  buildPythonPackage,
  fetchPypi,
}:

buildPythonPackage rec {
  pname = "setuptools";
  version = "72.1.0";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-nuOgeRbrtmEN/M+V+0ie1GIAetd5v/x5Z1uxfVBNenA=";
  };

  meta = {
    homepage = "https://setuptools.example.org";
    license = lib.licenses.mit;
  };
}
