{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
}:

buildPythonPackage rec {
  pname = "click";
  version = "8.1.7";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-5cf/rCb+1lT+YgRYmPVbVRoNwSC63z0Ra802RBjz7BY=";
  };

  build-system = [ setuptools ];

  meta = {
    homepage = "https://click.example.org";
    license = lib.licenses.bsd3;
  };
}
