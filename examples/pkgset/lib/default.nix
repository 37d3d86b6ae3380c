# The library: functions and data, no packages. It is a fixed point of its own, so `lib.extend` can add to it
# as an overlay adds to the package set.
let
  fixedPoints = import ./fixed-points.nix;
in
fixedPoints.makeExtensible (
  self:
  let
    load = file: import file { lib = self; };
  in
  {
    inherit fixedPoints;
    trivial = load ./trivial.nix;
    attrsets = load ./attrsets.nix;
    lists = load ./lists.nix;
    strings = load ./strings.nix;
    customisation = load ./customisation.nix;
    meta = load ./meta.nix;
    sources = load ./sources.nix;
    systems = load ./systems.nix;
    licenses = load ./licenses.nix;
    maintainers = import ./maintainers.nix;
    options = load ./options.nix;
    types = load ./types.nix;
    modules = load ./modules.nix;

    inherit (self.systems) platforms;

    inherit (fixedPoints)
      fix
      extends
      composeExtensions
      composeManyExtensions
      makeExtensible
      ;
    inherit (self.trivial)
      id
      const
      flip
      pipe
      importTOML
      importJSON
      boolToString
      isFunction
      functionArgs
      setFunctionArgs
      toFunction
      warn
      warnIf
      throwIf
      throwIfNot
      min
      max
      mod
      version
      ;
    inherit (self.attrsets)
      attrByPath
      hasAttrByPath
      setAttrByPath
      getAttrFromPath
      attrVals
      attrNames
      attrValues
      catAttrs
      filterAttrs
      concatMapAttrs
      mapAttrs
      mapAttrs'
      mapAttrsToList
      mapAttrsRecursive
      nameValuePair
      listToAttrs
      genAttrs
      optionalAttrs
      recursiveUpdate
      zipAttrsWith
      isDerivation
      isAttrs
      recurseIntoAttrs
      getOutput
      getBin
      getDev
      getLib
      ;
    inherit (self.lists)
      foldr
      foldl'
      imap0
      imap1
      elem
      elemAt
      head
      tail
      last
      init
      take
      drop
      length
      isList
      singleton
      optional
      optionals
      toList
      flatten
      range
      unique
      remove
      reverseList
      findFirst
      partition
      zipLists
      zipListsWith
      any
      all
      count
      filter
      concatLists
      concatMap
      genList
      sort
      sortOn
      subtractLists
      intersectLists
      ;
    inherit (self.strings)
      isString
      stringLength
      substring
      concatStrings
      concatStringsSep
      concatMapStrings
      concatMapStringsSep
      concatLines
      optionalString
      hasPrefix
      hasSuffix
      hasInfix
      removePrefix
      removeSuffix
      splitString
      stringToCharacters
      toLower
      toUpper
      trim
      fileContents
      escape
      escapeShellArg
      escapeShellArgs
      replaceStrings
      makeSearchPath
      makeBinPath
      makeLibraryPath
      versionOlder
      versionAtLeast
      versions
      getName
      getVersion
      toInt
      fixedWidthString
      ;
    inherit (self.customisation)
      makeOverridable
      callPackageWith
      callPackagesWith
      makeScope
      ;
    inherit (self.meta)
      getExe
      getExe'
      addMetaAttrs
      lowPrio
      hiPrio
      ;
    inherit (self.sources) cleanSource sourceFilesBySuffices;
    inherit (self.options)
      mkOption
      mkEnableOption
      mkPackageOption
      isOption
      literalExpression
      showOption
      optionAttrSetToDocList
      ;
    inherit (self.modules)
      evalModules
      mkIf
      mkMerge
      mkOverride
      mkOptionDefault
      mkDefault
      mkForce
      mkOrder
      mkBefore
      mkAfter
      mkRenamedOptionModule
      ;
  }
)
