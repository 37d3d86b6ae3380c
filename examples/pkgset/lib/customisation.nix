# Calling functions with what they ask for, and changing the call afterwards.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    intersectAttrs
    isAttrs
    isFunction
    mapAttrs
    substring
    ;
in
rec {
  /**
    Call `f` with `args`, and give the result an attribute `override` that calls it again with other arguments.

    ```nix
    (makeOverridable ({ a, b }: { sum = a + b; }) { a = 1; b = 2; }).override { b = 3; }
    => { sum = 4; … }
    ```
  */
  makeOverridable =
    f:
    let
      overridable =
        args:
        let
          result = f args;
          changed = new: args // (if isFunction new then new args else new);
          again = change: makeOverridable (lib.setFunctionArgs (args: change (f args)) (lib.functionArgs f)) args;
        in
        if isAttrs result then
          result
          // {
            override = lib.setFunctionArgs (new: makeOverridable f (changed new)) (lib.functionArgs f);
            overrideDerivation = change: again (drv: overrideDerivation drv change);
          }
          // lib.optionalAttrs (result ? overrideAttrs) {
            overrideAttrs = change: again (drv: drv.overrideAttrs change);
          }
        else if isFunction result then
          lib.setFunctionArgs result (lib.functionArgs result)
          // {
            override = new: makeOverridable f (changed new);
          }
        else
          result;
    in
    lib.setFunctionArgs overridable (lib.functionArgs f);

  # Change the arguments of the derivation itself, below mkDerivation.
  overrideDerivation =
    drv: change:
    let
      new = derivation (drv.drvAttrs // change drv);
    in
    new
    // {
      meta = drv.meta or { };
      passthru = drv.passthru or { };
    };

  /**
    Call a function (or the file that holds it) with the attributes of `scope` that it names, and with `args`,
    which win. The result can be overridden.
  */
  callPackageWith =
    scope: fileOrFunction: args:
    let
      f = if isFunction fileOrFunction then fileOrFunction else import fileOrFunction;
      formals = lib.functionArgs f;
      given = intersectAttrs formals scope // args;
      missing = filter (name: !(formals.${name} || given ? ${name})) (attrNames formals);
      position = builtins.unsafeGetAttrPos (builtins.head missing) formals;
      similar = name: filter (other: substring 0 3 other == substring 0 3 name) (attrNames scope);
      complain =
        name:
        let
          close = lib.take 3 (similar name);
        in
        "function called without required argument '${name}'"
        + lib.optionalString (position != null) " at ${position.file}:${toString position.line}"
        + lib.optionalString (close != [ ]) ", did you mean ${concatStringsSep " or " (map (n: "'${n}'") close)}?";
    in
    if missing == [ ] then makeOverridable f given else throw "callPackageWith: ${complain (builtins.head missing)}";

  # The same for a function that returns several packages.
  callPackagesWith =
    scope: fileOrFunction: args:
    let
      f = if isFunction fileOrFunction then fileOrFunction else import fileOrFunction;
      given = intersectAttrs (lib.functionArgs f) scope // args;
    in
    mapAttrs (name: _: makeOverridable (args: (f args).${name}) given) (f given);

  /**
    A package set within a package set: `f` gets the scope's own result, and `callPackage` looks there first.
    `overrideScope` extends it.
  */
  makeScope =
    newScope: f:
    let
      self = f self // {
        newScope = scope: newScope (self // scope);
        callPackage = self.newScope { };
        overrideScope = overlay: makeScope newScope (lib.extends overlay f);
        packages = f;
      };
    in
    self;
}
