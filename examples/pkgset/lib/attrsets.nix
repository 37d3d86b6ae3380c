# Attribute sets.
{ lib }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    elemAt
    foldl'
    head
    isAttrs
    length
    listToAttrs
    mapAttrs
    ;
in
rec {
  inherit (builtins)
    attrNames
    attrValues
    catAttrs
    isAttrs
    listToAttrs
    mapAttrs
    zipAttrsWith
    ;

  nameValuePair = name: value: { inherit name value; };

  /**
    Follow a path of attribute names, or take `default` where it breaks off.

    ```nix
    attrByPath [ "a" "b" ] 6 { a.b = 3; }
    => 3
    ```
  */
  attrByPath =
    path: default: set:
    let
      depth = length path;
      walk =
        at: value:
        if at == depth then
          value
        else if isAttrs value && value ? ${elemAt path at} then
          walk (at + 1) value.${elemAt path at}
        else
          default;
    in
    walk 0 set;

  hasAttrByPath =
    path: set:
    path == [ ] || (set ? ${head path} && hasAttrByPath (builtins.tail path) set.${head path});

  # `setAttrByPath [ "a" "b" ] 3` is `{ a = { b = 3; }; }`.
  setAttrByPath = path: value: lib.lists.foldr (name: inner: { ${name} = inner; }) value path;

  getAttrFromPath =
    path: attrByPath path (throw "cannot find attribute '${builtins.concatStringsSep "." path}'");

  attrVals = names: set: map (name: set.${name}) names;

  /**
    Keep the attributes for which `keep name value` holds.
  */
  filterAttrs =
    keep: set:
    builtins.removeAttrs set (builtins.filter (name: !keep name set.${name}) (attrNames set));

  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);

  mapAttrsToList = f: set: attrValues (mapAttrs f set);

  concatMapAttrs = f: set: foldl' (all: part: all // part) { } (mapAttrsToList f set);

  # `f` gets the path to each leaf, as a list of names, and the leaf.
  mapAttrsRecursive =
    f: set:
    let
      descend =
        path:
        mapAttrs (
          name: value: if isAttrs value then descend (path ++ [ name ]) value else f (path ++ [ name ]) value
        );
    in
    descend [ ] set;

  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);

  optionalAttrs = condition: set: if condition then set else { };

  /**
    Like `//`, but sets on both sides are merged in depth.
  */
  recursiveUpdate =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) then recursiveUpdate left.${name} value else value
    ) right;

  isDerivation = value: value.type or null == "derivation";

  recurseIntoAttrs = set: set // { recurseForDerivations = true; };

  /**
    One of a package's outputs, or the default one where it has none of that name.
  */
  getOutput =
    output: package:
    if !package ? outputSpecified || !package.outputSpecified then
      package.${output} or package.out or package
    else
      package;

  getBin = getOutput "bin";
  getDev = getOutput "dev";
  getLib = getOutput "lib";
}
