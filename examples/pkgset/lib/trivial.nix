# Functions about functions, and what fits nowhere else.
{ lib }:
let
  inherit (builtins) isFunction functionArgs fromJSON fromTOML readFile trace;
in
{
  version = lib.strings.trim (readFile ../.version);

  # The identity.
  id = x: x;

  # A function that ignores its second argument.
  const = x: _: x;

  flip =
    f: a: b:
    f b a;

  /**
    Feed a value through a list of functions, left to right.
  */
  pipe = builtins.foldl' (value: f: f value);

  importJSON = path: fromJSON (readFile path);
  importTOML = path: fromTOML (readFile path);

  boolToString = b: if b then "true" else "false";

  min = a: b: if a < b then a else b;
  max = a: b: if a > b then a else b;
  mod = a: b: a - b * (a / b);

  warn = message: value: trace "warning: ${message}" value;
  warnIf = condition: message: if condition then lib.trivial.warn message else lib.trivial.id;
  throwIf = condition: message: if condition then throw message else lib.trivial.id;
  throwIfNot = condition: lib.trivial.throwIf (!condition);

  /**
    Something that can be called: a function, or a set with `__functor`.
  */
  isFunction = f: isFunction f || (f ? __functor && lib.trivial.isFunction (f.__functor f));

  /**
    The named arguments that `f` takes; `true` marks those with a default.
  */
  functionArgs =
    f: if f ? __functor then f.__functionArgs or (lib.trivial.functionArgs (f.__functor f)) else functionArgs f;

  # Lend a function that takes everything (`args: …`) the named arguments of another.
  setFunctionArgs = f: args: {
    __functor = self: f;
    __functionArgs = args;
  };

  toFunction = v: if lib.trivial.isFunction v then v else _: v;
}
