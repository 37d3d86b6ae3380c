{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
}:

buildPythonPackage rec {
  pname = "urllib3";
  version = "2.2.2";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-TgjfhkWlKj+pxdm+pW2V1VuRHbNfZSy75gFlF+dhrLU=";
  };

  build-system = [ setuptools ];

  meta = {
    homepage = "https://urllib3.example.org";
    license = lib.licenses.mit;
  };
}
