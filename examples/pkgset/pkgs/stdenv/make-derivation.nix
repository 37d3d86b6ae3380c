# mkDerivation: from what a package says about itself to a derivation.
{
  lib,
  config,
  stdenv,
  mkDerivationArgs,
}:
let
  checkMeta = import ./check-meta.nix { inherit lib config stdenv; };

  # `overrideAttrs` may be given a set, a function of the old arguments, or one of the final and the old ones.
  asOverlay =
    change: final: prev:
    let
      first = change final;
    in
    if !builtins.isFunction change then
      change
    else if builtins.isFunction first then
      first prev
    else
      change prev;

  /**
    A package from a function of its own final arguments.
  */
  fromFixedPoint =
    rattrs:
    let
      args = rattrs (args // { inherit finalPackage; });
      overrideAttrs = change: fromFixedPoint (lib.extends (asOverlay change) rattrs);
      finalPackage = fromArguments overrideAttrs args;
    in
    finalPackage;

  # Attributes that are about the package and are not seen by its builder.
  notForTheBuilder = [
    "meta"
    "passthru"
    "pname"
    "env"
    "checkInputs"
    "nativeCheckInputs"
  ];

  fromArguments =
    overrideAttrs:
    {
      name ? "${attrs.pname}-${attrs.version}",
      outputs ? [ "out" ],
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      propagatedBuildInputs ? [ ],
      nativeCheckInputs ? [ ],
      checkInputs ? [ ],
      doCheck ? config.doCheckByDefault,
      strictDeps ? false,
      env ? { },
      meta ? { },
      passthru ? { },
      ...
    }@attrs:
    let
      runsHere = stdenv.buildPlatform.system == stdenv.hostPlatform.system;
      checks = doCheck && runsHere;

      builderArguments =
        removeAttrs attrs notForTheBuilder
        // mkDerivationArgs attrs
        // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
        // env
        // {
          inherit name outputs strictDeps;
          inherit (stdenv.buildPlatform) system;
          inherit stdenv;
          builder = attrs.realBuilder or stdenv.shell;
          args = attrs.args or [
            "-e"
            ./builder.sh
          ];
          userHook = null;
          __ignoreNulls = true;
          doCheck = checks;
          nativeBuildInputs = map lib.getDev (nativeBuildInputs ++ lib.optionals checks nativeCheckInputs);
          buildInputs = map lib.getDev (buildInputs ++ lib.optionals checks checkInputs);
          propagatedBuildInputs = map lib.getDev propagatedBuildInputs;
        };

      drv = derivation builderArguments;

      # Where the package is written: at its version, or failing that at its name.
      position =
        let
          found = lib.findFirst (pos: pos != null) null (
            map (name: builtins.unsafeGetAttrPos name attrs) [
              "version"
              "pname"
              "name"
            ]
          );
        in
        lib.optionalAttrs (found != null) {
          position = "${found.file}:${toString found.line}";
        };

      fullMeta =
        {
          inherit name;
          available = checkMeta.problem attrs fullMeta == null;
          outputsToInstall = [ (if builtins.elem "bin" outputs then "bin" else builtins.head outputs) ];
        }
        // position
        // meta;

      extras = {
        inherit overrideAttrs passthru;
        meta = fullMeta;
        inherit (stdenv.hostPlatform) system;
      }
      // lib.optionalAttrs (attrs ? pname) { inherit (attrs) pname; }
      // lib.optionalAttrs (attrs ? version) { inherit (attrs) version; }
      // passthru;

      # Every output is the package seen from that output.
      withExtras =
        output:
        output
        // extras
        // lib.genAttrs outputs (name: withExtras drv.${name} // { outputSpecified = true; })
        // {
          all = map (name: drv.${name}) outputs;
        };
    in
    checkMeta.assertValid attrs fullMeta (
      withExtras drv
      // {
        # Asked for only when the package may be used.
        inputDerivation = derivation (
          builderArguments
          // {
            name = "inputs-for-${name}";
            outputs = [ "out" ];
          }
        );
      }
    );
in
fnOrAttrs:
fromFixedPoint (if builtins.isFunction fnOrAttrs then fnOrAttrs else _: fnOrAttrs)
