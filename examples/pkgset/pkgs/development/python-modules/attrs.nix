{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
}:

buildPythonPackage rec {
  pname = "attrs";
  version = "24.1.0";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-EY7AFT0pfqAXMmZVg53f/RDSqD59vRi18H7dTHfAtiI=";
  };

  build-system = [ setuptools ];

  meta = {
    homepage = "https://attrs.example.org";
    license = lib.licenses.mit;
  };
}
