# An overlay of the packages under by-name/: pkgs/by-name/he/hello/package.nix is the attribute `hello`.
baseDirectory: final: prev:
let
  inherit (builtins)
    attrNames
    concatMap
    listToAttrs
    readDir
    ;

  shards =
    let
      entries = readDir baseDirectory;
    in
    builtins.filter (name: entries.${name} == "directory") (attrNames entries);

  packagesIn =
    shard:
    map (name: {
      inherit name;
      value = baseDirectory + "/${shard}/${name}/package.nix";
    }) (attrNames (readDir (baseDirectory + "/${shard}")));

  files = listToAttrs (concatMap packagesIn shards);
in
builtins.mapAttrs (name: file: final.callPackage file { }) files
