# Whether a package may be evaluated under this configuration.
{
  lib,
  config,
  stdenv,
}:
let
  inherit (builtins) all elem;

  licensesOf = meta: lib.toList (meta.license or [ ]);

  isUnfree = meta: !all (license: license.free or true) (licensesOf meta);

  nameOf = attrs: attrs.name or "${attrs.pname}-${attrs.version}";
in
rec {
  /**
    What is wrong, in words; null where nothing is.
  */
  problem =
    attrs: meta:
    if isUnfree meta && !config.allowUnfree then
      "has an unfree license"
    else if meta.broken or false && !config.allowBroken then
      "is marked as broken"
    else if meta.knownVulnerabilities or [ ] != [ ] && !elem (nameOf attrs) config.permittedInsecurePackages then
      "is marked as insecure"
    else if !lib.meta.availableOn stdenv.hostPlatform { inherit meta; } && !config.allowUnsupportedSystem then
      "is not available on ${stdenv.hostPlatform.system}"
    else
      null;

  assertValid =
    attrs: meta: package:
    let
      found = problem attrs meta;
    in
    if found == null then
      package
    else
      package
      // lib.genAttrs [ "drvPath" "outPath" ] (
        _: throw "Package '${nameOf attrs}' in ${meta.position or "an unknown place"} ${found}, refusing to evaluate."
      );
}
