{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
  click,
  jinja2,
  werkzeug,
}:

buildPythonPackage rec {
  pname = "flask";
  version = "3.0.3";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-uHqlJwdycIrq7SStZWgWGMOY8jjns77Tk6+FJzgkM3c=";
  };

  build-system = [ setuptools ];

  dependencies = [
    click
    jinja2
    werkzeug
  ];

  meta = {
    homepage = "https://flask.example.org";
    license = lib.licenses.bsd3;
  };
}
