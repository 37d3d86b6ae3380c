# The module system: options declared in one place, defined in many, merged by their types.
#
# A module is a set with `imports`, `options` and `config` (or none of the three: then all of it is config), a
# function that takes `{ config, options, lib, … }` and returns one, or the path of a file that holds either.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    foldl'
    functionArgs
    genericClosure
    head
    isAttrs
    isFunction
    isPath
    isString
    length
    mapAttrs
    removeAttrs
    sort
    ;
  inherit (lib)
    isOption
    showOption
    unique
    ;

  defaultPriority = 100;
  defaultOrder = 1000;
  hasType = type: value: value._type or null == type;

  # --- Loading -------------------------------------------------------------------------------------------------

  # Pass a module function what it names; what is neither special nor standard comes from `_module.args`, lazily.
  call =
    args: f:
    let
      extra = mapAttrs (
        name: _:
        args.config._module.args.${name}
          or (throw "a module asks for the argument `${name}', which is neither passed nor set in `_module.args'")
      ) (functionArgs f);
    in
    f (extra // args);

  structural = [
    "_file"
    "key"
    "imports"
    "options"
    "config"
    "_module"
  ];

  # Any spelling of a module as `{ key, file, imports, options, config }`.
  load =
    args: fallbackKey: parentFile: module:
    let
      isFile = isPath module || isString module;
      file = if isFile then toString module else parentFile;
      opened = if isFile then import module else module;
      body = if isFunction opened then call args opened else opened;
      explicit = body ? options || body ? config;
      stray = removeAttrs body structural;
      config =
        if !explicit then
          removeAttrs body [
            "_file"
            "key"
            "imports"
            "_module"
          ]
        else if stray != { } then
          throw "Module `${file}' has `config' or `options' and so cannot also have `${head (attrNames stray)}' beside them: move it into `config'."
        else
          body.config or { };
    in
    if !isAttrs body then
      throw "Module `${file}' is not an attribute set but a ${builtins.typeOf body}."
    else
      {
        key = toString (body.key or (if isFile then file else fallbackKey));
        file = toString (body._file or file);
        imports = body.imports or [ ];
        options = body.options or { };
        config = if body ? _module then pushMerge config { inherit (body) _module; } else config;
      };

  pushMerge = a: b: {
    _type = "merge";
    contents = [
      a
      b
    ];
  };

  # All modules that these import, each once, in the order in which they were first named.
  closure =
    args: modules:
    let
      start = lib.imap1 (at: module: load args ":anon-${toString at}" "<unknown-file>" module) modules;
      follow =
        module:
        lib.imap1 (at: inner: load args "${module.key}:anon-${toString at}" module.file inner) module.imports;
    in
    genericClosure {
      startSet = start;
      operator = follow;
    };

  # --- Properties: conditions, priorities, order ----------------------------------------------------------------

  # A definition of a whole set, with the properties around it moved down to its attributes.
  pushDown =
    config:
    if hasType "merge" config then
      concatMap pushDown config.contents
    else if hasType "if" config then
      map (mapAttrs (_: content: lib.modules.mkIf config.condition content)) (pushDown config.content)
    else if hasType "override" config then
      map (mapAttrs (_: content: lib.modules.mkOverride config.priority content)) (pushDown config.content)
    else
      [ config ];

  # A definition of one option, its conditions decided: none, one or several.
  discharge =
    value:
    if hasType "merge" value then
      concatMap discharge value.contents
    else if hasType "if" value then
      if builtins.isBool value.condition then
        if value.condition then discharge value.content else [ ]
      else
        throw "mkIf: the condition is not a Boolean but a ${builtins.typeOf value.condition}"
    else
      [ value ];

  strongest =
    defs:
    let
      priority = def: if hasType "override" def.value then def.value.priority else defaultPriority;
      best = foldl' (low: def: lib.min low (priority def)) 9999 defs;
      strip = def: if hasType "override" def.value then def // { value = def.value.content; } else def;
    in
    {
      highestPrio = best;
      values = map strip (filter (def: priority def == best) defs);
    };

  inOrder =
    defs:
    let
      order = def: if hasType "order" def.value then def.value.priority else defaultOrder;
      strip = def: if hasType "order" def.value then def // { value = def.value.content; } else def;
    in
    if lib.any (def: hasType "order" def.value) defs then
      map strip (sort (a: b: order a < order b) defs)
    else
      defs;

  # --- Merging -------------------------------------------------------------------------------------------------

  # One option: its value, and what is known about it.
  evaluateOption =
    loc: declarations: defs:
    let
      declared = foldl' (all: one: all // one.options) { } declarations;
      type = declared.type or lib.types.raw;
      fallback = lib.optional (declared ? default) {
        file = (head declarations).file;
        value = lib.modules.mkOptionDefault declared.default;
      };
      result = lib.modules.mergeDefinitions loc type (defs ++ fallback);
      value =
        if result.isDefined then
          result.value
        else
          throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.";
    in
    if declared.readOnly or false && length defs > 1 then
      throw "The option `${showOption loc}' is read-only, but it is set more than once."
    else
      declared
      // {
        inherit loc type;
        inherit (result) isDefined highestPrio;
        declarations = map (declaration: declaration.file) declarations;
        declarationPositions = map (declaration: declaration.position) declarations;
        definitions = map (def: def.value) result.definitions;
        definitionsWithLocations = result.definitions;
        files = map (def: def.file) result.definitions;
        value = if declared ? apply then declared.apply value else value;
      };

  # A level of the option tree: `{ options, config, unmatched }`.
  mergeLevel =
    prefix: optionSets: configSets:
    let
      names = unique (concatMap (set: attrNames set.options) optionSets);
      mergeName =
        name:
        let
          loc = prefix ++ [ name ];
          declarations = concatMap (
            set:
            lib.optional (set.options ? ${name}) {
              inherit (set) file;
              options = set.options.${name};
              position = builtins.unsafeGetAttrPos name set.options;
            }
          ) optionSets;
          defs = concatMap (
            set:
            lib.optional (set.config ? ${name}) {
              inherit (set) file;
              value = set.config.${name};
            }
          ) configSets;
          leaves = filter (declaration: isOption declaration.options) declarations;
          below = mergeLevel loc declarations (
            concatMap (
              def:
              map (config: {
                inherit (def) file;
                config =
                  if isAttrs config then
                    config
                  else
                    throw "`${showOption loc}' is a set of options, but `${def.file}' defines it as a ${builtins.typeOf config}.";
              }) (pushDown def.value)
            ) defs
          );
          option = evaluateOption loc leaves defs;
        in
        if leaves == [ ] then
          below
        else if length leaves == length declarations then
          {
            options = option;
            config = option.value;
            unmatched = [ ];
          }
        else
          throw "`${showOption loc}' is declared as an option and as a set of options.";
      merged = lib.genAttrs names mergeName;
      unknown = concatMap (
        set:
        map (name: {
          inherit (set) file;
          loc = prefix ++ [ name ];
          siblings = names;
        }) (filter (name: !elem name names) (attrNames set.config))
      ) configSets;
    in
    {
      options = mapAttrs (_: level: level.options) merged;
      config = mapAttrs (_: level: level.config) merged;
      unmatched = unknown ++ concatMap (name: merged.${name}.unmatched) names;
    };

  complain =
    unmatched:
    let
      first = head unmatched;
      name = lib.last first.loc;
      close = filter (
        other: builtins.substring 0 3 other == builtins.substring 0 3 name
      ) first.siblings;
      hint = lib.optionalString (close != [ ]) " Did you mean `${showOption (lib.init first.loc ++ [ (head close) ])}'?";
    in
    throw "The option `${showOption first.loc}' does not exist. It is defined in `${first.file}'.${hint}";

  # What every evaluation declares.
  internalModule = {
    _file = "lib/modules.nix";
    key = "lib/modules.nix";
    options._module.args = lib.mkOption {
      type = lib.types.lazyAttrsOf lib.types.raw;
      internal = true;
      description = "Additional arguments passed to each module.";
    };
    options._module.check = lib.mkOption {
      type = lib.types.bool;
      default = true;
      internal = true;
      description = "Whether to insist that every definition has an option.";
    };
  };
in
{
  /**
    Evaluate modules together.

    Returns `config` (the values), `options` (the tree of options with what is known about each), and
    `extendModules` to go on with more modules.
  */
  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      args = {
        inherit lib;
        inherit (merged) config options;
      }
      // specialArgs;
      loaded = closure args ([ internalModule ] ++ modules);
      merged = mergeLevel prefix loaded (
        concatMap (
          module:
          map (config: {
            inherit (module) file;
            inherit config;
          }) (pushDown module.config)
        ) loaded
      );
    in
    {
      inherit (merged) options;
      inherit (merged.config) _module;
      config =
        if merged.unmatched != [ ] && merged.config._module.check then
          complain merged.unmatched
        else
          removeAttrs merged.config [ "_module" ];
      extendModules =
        more:
        lib.evalModules {
          modules = modules ++ more.modules or [ ];
          specialArgs = specialArgs // more.specialArgs or { };
          inherit prefix;
        };
      type = lib.types.submoduleWith { inherit modules specialArgs; };
    };

  /**
    What definitions of one option come to: `value`, whether there `isDefined` one, and the `definitions` that counted.
  */
  mergeDefinitions =
    loc: type: defs:
    let
      discharged = concatMap (
        def:
        map (value: {
          inherit (def) file;
          inherit value;
        }) (discharge def.value)
      ) defs;
      best = strongest discharged;
      definitions = inOrder best.values;
      wrong = filter (def: !type.check def.value) definitions;
    in
    {
      inherit definitions;
      inherit (best) highestPrio;
      isDefined = definitions != [ ] || type.emptyValue ? value;
      value =
        if wrong != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. It is a ${builtins.typeOf (head wrong).value} in `${(head wrong).file}'."
        else if definitions == [ ] then
          type.emptyValue.value
        else
          type.merge loc definitions;
    };

  # Definitions that count only if `condition` holds; it may depend on `config`.
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };

  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };

  # The lowest number wins: 50 mkForce, 100 a plain definition, 1000 mkDefault, 1500 the option's own default.
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkForce = lib.modules.mkOverride 50;
  mkDefault = lib.modules.mkOverride 1000;
  mkOptionDefault = lib.modules.mkOverride 1500;

  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkBefore = lib.modules.mkOrder 500;
  mkAfter = lib.modules.mkOrder 1500;

  # A module that passes definitions of an old option on to a new one.
  mkRenamedOptionModule =
    from: to:
    { config, options, ... }:
    let
      old = lib.getAttrFromPath from options;
    in
    {
      options = lib.setAttrByPath from (
        lib.mkOption {
          type = lib.types.raw;
          visible = false;
          description = "Renamed to {option}`${showOption to}`.";
        }
      );
      config = lib.setAttrByPath to (
        lib.mkIf old.isDefined (
          lib.warn "The option `${showOption from}' has been renamed to `${showOption to}'." old.value
        )
      );
    };
}
