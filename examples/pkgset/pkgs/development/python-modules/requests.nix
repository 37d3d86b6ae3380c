{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
  urllib3,
}:

buildPythonPackage rec {
  pname = "requests";
  version = "2.32.3";

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-7HJCDfXfvc5BEfcVyWM43zt8t19Y5HjSRJyXIOVg3ow=";
  };

  build-system = [ setuptools ];

  dependencies = [ urllib3 ];

  meta = {
    homepage = "https://requests.example.org";
    license = lib.licenses.asl20;
  };
}
