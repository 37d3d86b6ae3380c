{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
}:

buildPythonPackage rec {
  pname = "markupsafe";
  version = "2.1.5";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-+OrNIopyDfQsFHuvcvJsB6ugxqy+iEMSbjTN56WiOXE=";
  };

  build-system = [ setuptools ];

  meta = {
    homepage = "https://markupsafe.example.org";
    license = lib.licenses.bsd3;
  };
}
