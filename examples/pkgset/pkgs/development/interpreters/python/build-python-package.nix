# mkDerivation for packages of an interpreter: their names carry its version.
{
  lib,
  stdenv,
  python,
}:
lib.makeOverridable (
  {
    pname,
    version,
    build-system ? [ ],
    dependencies ? [ ],
    nativeBuildInputs ? [ ],
    optional-dependencies ? { },
    pyproject ? true,
    disabled ? false,
    passthru ? { },
    ...
  }@attrs:
  if disabled then
    throw "${pname}-${version} is not supported for interpreter ${python.executable}"
  else
    stdenv.mkDerivation (
      removeAttrs attrs [
        "build-system"
        "dependencies"
        "optional-dependencies"
        "pyproject"
        "disabled"
      ]
      // {
        name = "${python.executable}-${pname}-${version}";
        nativeBuildInputs = [ python ] ++ nativeBuildInputs ++ build-system;
        propagatedBuildInputs = [ python ] ++ dependencies;
        buildPhase = "${python.interpreter} -m build --wheel --no-isolation";
        installPhase = "${python.interpreter} -m installer --prefix $out dist/*.whl";
        doCheck = attrs.doCheck or true;
        passthru = {
          inherit dependencies optional-dependencies;
          pythonModule = python;
        }
        // passthru;
      }
    )
)
