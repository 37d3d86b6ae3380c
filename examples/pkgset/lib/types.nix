# Types of options: what a definition may be, and how several become one value.
#
# A type is a set: `name`, `description`, `check value`, `merge loc defs` with `defs` a list of `{ file, value }`,
# `getSubOptions prefix`, `emptyValue` (what stands for no definition at all, if there is such a thing).
{ lib }:
let
  inherit (builtins)
    all
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    mapAttrs
    ;
  inherit (lib) showOption;

  showFiles = defs: concatStringsSep " and " (map (def: "`${def.file}'") defs);

  mkType =
    type:
    {
      description = type.name;
      check = _: true;
      merge = mergeOne;
      getSubOptions = _: { };
      emptyValue = { };
    }
    // type
    // {
      _type = "option-type";
    };

  mergeOne =
    loc: defs:
    if length defs == 1 then
      (head defs).value
    else
      throw "The option `${showOption loc}' is defined more than once, in ${showFiles defs}, and can have one value only.";

  mergeEqual =
    loc: defs:
    if all (def: def.value == (head defs).value) defs then
      (head defs).value
    else
      throw "The option `${showOption loc}' has conflicting definitions, in ${showFiles defs}.";

  mergeAll = f: loc: defs: f (map (def: def.value) defs);

  isStorePath = value: isString value && lib.hasPrefix builtins.storeDir value;

  between =
    low: high:
    mkType {
      name = "intBetween";
      description = "integer between ${toString low} and ${toString high} (both inclusive)";
      check = value: isInt value && value >= low && value <= high;
      merge = mergeEqual;
    };

  # A name whose every definition is under a false mkIf is absent, but with `lazy`: then conditions may depend on names.
  setOf =
    lazy: elemType:
    mkType {
      name = if lazy then "lazyAttrsOf" else "attrsOf";
      description = "attribute set of ${elemType.description}";
      check = isAttrs;
      merge =
        loc: defs:
        let
          names = lib.unique (lib.concatMap (def: builtins.attrNames def.value) defs);
          definitions =
            name:
            map (def: {
              inherit (def) file;
              value = def.value.${name};
            }) (filter (def: def.value ? ${name}) defs);
          merged = name: lib.modules.mergeDefinitions (loc ++ [ name ]) elemType (definitions name);
        in
        mapAttrs (_: result: result.value) (
          lib.filterAttrs (_: result: lazy || result.definitions != [ ]) (lib.genAttrs names merged)
        );
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<name>" ]);
      emptyValue.value = { };
      nestedTypes.elemType = elemType;
    };
in
rec {
  inherit mkType;

  # Anything at all, one definition.
  raw = mkType {
    name = "raw";
    description = "raw value";
  };

  # Anything at all; sets are merged in depth, everything else must agree.
  anything = mkType {
    name = "anything";
    merge =
      loc: defs:
      if all (def: isAttrs def.value && !lib.isDerivation def.value) defs then
        (attrsOf anything).merge loc defs
      else if all (def: isList def.value) defs then
        mergeAll builtins.concatLists loc defs
      else
        mergeEqual loc defs;
  };

  bool = mkType {
    name = "bool";
    description = "boolean";
    check = isBool;
    merge = mergeEqual;
  };

  int = mkType {
    name = "int";
    description = "signed integer";
    check = isInt;
    merge = mergeEqual;
  };

  ints = {
    inherit between;
    unsigned = int // {
      name = "unsignedInt";
      description = "unsigned integer, meaning >=0";
      check = value: isInt value && value >= 0;
    };
    positive = int // {
      name = "positiveInt";
      description = "positive integer, meaning >0";
      check = value: isInt value && value > 0;
    };
  };

  port = between 0 65535 // {
    description = "16 bit unsigned integer; a port number";
  };

  float = mkType {
    name = "float";
    description = "floating point number";
    check = isFloat;
    merge = mergeEqual;
  };

  number = either int float;

  str = mkType {
    name = "str";
    description = "string";
    check = isString;
    merge = mergeEqual;
  };

  nonEmptyStr = str // {
    description = "non-empty string";
    check = value: isString value && builtins.match "[ \t\n]*" value == null;
  };

  strMatching =
    pattern:
    str
    // {
      name = "strMatching ${builtins.toJSON pattern}";
      description = "string matching the pattern ${pattern}";
      check = value: isString value && builtins.match pattern value != null;
    };

  separatedString =
    separator:
    mkType {
      name = "separatedString";
      description = "strings concatenated with ${builtins.toJSON separator}";
      check = isString;
      merge = mergeAll (concatStringsSep separator);
    };

  lines = separatedString "\n";
  commas = separatedString ",";
  envVar = separatedString ":";

  path = mkType {
    name = "path";
    description = "absolute path";
    check = value: isPath value || lib.isDerivation value || (isString value && lib.hasPrefix "/" value);
    merge = mergeEqual;
  };

  package = mkType {
    name = "package";
    check = value: lib.isDerivation value || isStorePath value;
  };

  enum =
    values:
    mkType {
      name = "enum";
      description = "one of ${concatStringsSep ", " (map builtins.toJSON values)}";
      check = value: elem value values;
      merge = mergeEqual;
    };

  nullOr =
    elemType:
    mkType {
      name = "nullOr";
      description = "null or ${elemType.description}";
      check = value: value == null || elemType.check value;
      merge =
        loc: defs:
        if all (def: def.value == null) defs then
          null
        else if lib.any (def: def.value == null) defs then
          throw "The option `${showOption loc}' is defined both null and not null, in ${showFiles defs}."
        else
          elemType.merge loc defs;
      inherit (elemType) getSubOptions;
      emptyValue.value = null;
    };

  listOf =
    elemType:
    mkType {
      name = "listOf";
      description = "list of ${elemType.description}";
      check = isList;
      merge =
        loc: defs:
        let
          element =
            def: at: value:
            (lib.modules.mergeDefinitions (loc ++ [ "[entry ${toString at}]" ]) elemType [
              {
                inherit (def) file;
                inherit value;
              }
            ]);
          merged = lib.concatMap (def: lib.imap1 (element def) def.value) defs;
        in
        map (result: result.value) (filter (result: result.definitions != [ ]) merged);
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "*" ]);
      emptyValue.value = [ ];
      nestedTypes.elemType = elemType;
    };

  attrsOf = setOf false;
  lazyAttrsOf = setOf true;
  attrs = attrsOf raw;

  functionTo =
    result:
    mkType {
      name = "functionTo";
      description = "function that evaluates to a(n) ${result.description}";
      check = isFunction;
      merge =
        loc: defs: argument:
        (lib.modules.mergeDefinitions (loc ++ [ "<function body>" ]) result (
          map (def: {
            inherit (def) file;
            value = def.value argument;
          }) defs
        )).value;
    };

  either =
    left: right:
    mkType {
      name = "either";
      description = "${left.description} or ${right.description}";
      check = value: left.check value || right.check value;
      merge =
        loc: defs:
        if all (def: left.check def.value) defs then
          left.merge loc defs
        else if all (def: right.check def.value) defs then
          right.merge loc defs
        else
          mergeOne loc defs;
    };

  oneOf = types: lib.foldr either (lib.last types) (lib.init types);

  coercedTo =
    from: coerce: to:
    to
    // {
      name = "coercedTo";
      description = "${to.description} or ${from.description} convertible to it";
      check = value: to.check value || (from.check value && to.check (coerce value));
      merge =
        loc: defs:
        to.merge loc (
          map (def: def // { value = if from.check def.value then coerce def.value else def.value; }) defs
        );
    };

  /**
    A set with options of its own, declared by a module or a list of them.
  */
  submodule = modules: submoduleWith { modules = lib.toList modules; };

  submoduleWith =
    {
      modules,
      specialArgs ? { },
      description ? "submodule",
    }:
    let
      evaluate =
        loc: extra:
        lib.evalModules {
          inherit specialArgs;
          prefix = loc;
          modules = modules ++ extra ++ [ { _module.args.name = lib.last ([ "‹name›" ] ++ loc); } ];
        };
    in
    mkType {
      name = "submodule";
      inherit description;
      check = value: isAttrs value || isFunction value || isPath value;
      merge =
        loc: defs:
        (evaluate loc (
          map (def: {
            _file = def.file;
            imports = [ def.value ];
          }) defs
        )).config;
      getSubOptions = prefix: (evaluate prefix [ ]).options;
      emptyValue.value = { };
      nestedTypes.modules = modules;
    };
}
