{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
  markupsafe,
}:

buildPythonPackage rec {
  pname = "werkzeug";
  version = "3.0.3";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-3LtMNLvHxG+T3Id+ShUUNSPaugpRlPwYLS0SBNjPjW0=";
  };

  build-system = [ setuptools ];

  dependencies = [ markupsafe ];

  meta = {
    homepage = "https://werkzeug.example.org";
    license = lib.licenses.bsd3;
  };
}
