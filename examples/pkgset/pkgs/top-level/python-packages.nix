# The packages of one Python interpreter: a scope of its own.
python: self:
let
  inherit (self) callPackage;
in
{
  inherit python;

  buildPythonPackage = callPackage ../development/interpreters/python/build-python-package.nix { };
  fetchPypi = callPackage ../development/interpreters/python/fetch-pypi.nix { };

  # Packages and all that they need of this interpreter at run time, each once.
  requiredPythonModules =
    packages:
    let
      found = builtins.genericClosure {
        startSet = map (package: {
          key = package.outPath;
          inherit package;
        }) packages;
        operator =
          { package, ... }:
          map (package: {
            key = package.outPath;
            inherit package;
          }) (package.dependencies or [ ]);
      };
    in
    map (entry: entry.package) found;

  attrs = callPackage ../development/python-modules/attrs.nix { };
  click = callPackage ../development/python-modules/click.nix { };
  flask = callPackage ../development/python-modules/flask.nix { };
  jinja2 = callPackage ../development/python-modules/jinja2.nix { };
  markupsafe = callPackage ../development/python-modules/markupsafe.nix { };
  requests = callPackage ../development/python-modules/requests.nix { };
  setuptools = callPackage ../development/python-modules/setuptools.nix { };
  urllib3 = callPackage ../development/python-modules/urllib3.nix { };
  werkzeug = callPackage ../development/python-modules/werkzeug.nix { };
}
