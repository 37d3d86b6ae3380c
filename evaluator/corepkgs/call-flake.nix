# From a locked flake to what `getFlake` answers.
#
# `lock` is flake.lock, read; a node that lies inside another one's tree has `within = { node, dir }`.
# `source` is the tree of the flake itself and `dir` the folder in it that holds its flake.nix. `inputsOnly`: the answer
# is the inputs alone, and nothing of the flake's own is looked at.
{
  lock,
  source,
  dir,
  inputsOnly ? false,
}:

let
  inherit (builtins)
    foldl'
    isFunction
    isList
    mapAttrs
    removeAttrs
    ;

  below = outer: inner: if inner == "" then outer else outer + "/" + inner;

  # An input is a node's name, or the way to it from the root, input by input.
  nodeOf =
    input: if isList input then foldl' (node: name: nodeOf lock.nodes.${node}.inputs.${name}) lock.root input else input;

  treeOf =
    name: node:
    if name == lock.root then
      source
    else if node ? within then
      trees.${node.within.node}
    else
      builtins.fetchTree (node.info or { } // removeAttrs node.locked [ "dir" ]);

  folderOf =
    name: node:
    if name == lock.root then
      dir
    else if node ? within then
      node.within.dir
    else
      node.locked.dir or "";

  inputsOf = node: mapAttrs (_: input: flakes.${nodeOf input}) (node.inputs or { });

  flakeOf =
    name: node:
    let
      sourceInfo = trees.${name};
      outPath = below sourceInfo.outPath (folderOf name node);
      flake = import (outPath + "/flake.nix");
      inputs = inputsOf node;
      outputs = flake.outputs (inputs // { self = result; });
      result =
        outputs
        // sourceInfo
        // {
          inherit
            inputs
            outPath
            outputs
            sourceInfo
            ;
          _type = "flake";
        };
    in
    if !(node.flake or true) then
      sourceInfo // { inherit outPath sourceInfo; }
    else if isFunction flake.outputs then
      result
    else
      throw "the 'outputs' of the flake '${outPath}' are no function";

  trees = mapAttrs treeOf lock.nodes;
  flakes = mapAttrs flakeOf lock.nodes;
in
if inputsOnly then inputsOf lock.nodes.${lock.root} else flakes.${lock.root}
