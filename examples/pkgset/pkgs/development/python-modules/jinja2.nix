{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
  markupsafe,
}:

buildPythonPackage rec {
  pname = "jinja2";
  version = "3.1.4";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-w0qqPH8GX1iVXYplIsvjjUMBKwaMaP/1UsvAkKv1ujs=";
  };

  build-system = [ setuptools ];

  dependencies = [ markupsafe ];

  meta = {
    homepage = "https://jinja2.example.org";
    license = lib.licenses.bsd3;
  };
}
