# Strings.
{ lib }:
let
  inherit (builtins)
    concatStringsSep
    elemAt
    filter
    genList
    head
    isString
    length
    match
    replaceStrings
    split
    stringLength
    substring
    ;
in
rec {
  inherit (builtins)
    compareVersions
    concatStringsSep
    isString
    replaceStrings
    splitVersion
    stringLength
    substring
    ;

  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

  concatStrings = concatStringsSep "";
  concatMapStrings = f: list: concatStrings (map f list);
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  concatLines = concatMapStrings (line: line + "\n");

  optionalString = condition: string: if condition then string else "";

  stringToCharacters = s: genList (at: substring at 1 s) (stringLength s);

  /**
    Whether `string` begins with `prefix`.
  */
  hasPrefix = prefix: string: substring 0 (stringLength prefix) string == prefix;

  hasSuffix =
    suffix: string:
    let
      rest = stringLength string - stringLength suffix;
    in
    rest >= 0 && substring rest (-1) string == suffix;

  hasInfix = infix: string: length (splitString infix string) > 1;

  removePrefix =
    prefix: string:
    if hasPrefix prefix string then substring (stringLength prefix) (-1) string else string;

  removeSuffix =
    suffix: string:
    if hasSuffix suffix string then
      substring 0 (stringLength string - stringLength suffix) string
    else
      string;

  # Every character of `special` with a backslash before it.
  escape = special: replaceStrings special (map (c: "\\${c}") special);

  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");

  /**
    Split at every occurrence of a separator, which is taken literally.

    ```nix
    splitString "." "a.b.c"
    => [ "a" "b" "c" ]
    ```
  */
  splitString =
    separator: string:
    filter isString (split (escapeRegex separator) (builtins.unsafeDiscardStringContext string));

  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;

  trim =
    string:
    let
      found = match "[[:space:]]*(.*[^[:space:]])[[:space:]]*" string;
    in
    if found == null then "" else head found;

  # A file's text without the newline at its end.
  fileContents = file: removeSuffix "\n" (builtins.readFile file);

  # Quoted for a POSIX shell when it needs to be.
  escapeShellArg =
    value:
    let
      string = toString value;
    in
    if match "[[:alnum:],._+:@%/-]+" string == null then
      "'${replaceStrings [ "'" ] [ "'\\''" ] string}'"
    else
      string;
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;

  makeSearchPath =
    folder: packages:
    concatStringsSep ":" (map (path: "${path}/${folder}") (filter (x: x != null) packages));
  makeSearchPathOutput =
    output: folder: packages:
    makeSearchPath folder (map (lib.getOutput output) packages);
  makeBinPath = makeSearchPathOutput "bin" "bin";
  makeLibraryPath = makeSearchPathOutput "lib" "lib";

  versionOlder = a: b: compareVersions b a == 1;
  versionAtLeast = a: b: !versionOlder a b;

  /**
    Parts of a version number.
  */
  versions = {
    major = v: elemAt (splitVersion v) 0;
    minor = v: elemAt (splitVersion v) 1;
    majorMinor = v: concatStringsSep "." (lib.lists.take 2 (splitVersion v));
  };

  getName = x: if isString x then (builtins.parseDrvName x).name else x.pname or (builtins.parseDrvName x.name).name;
  getVersion = x: if isString x then (builtins.parseDrvName x).version else x.version or (builtins.parseDrvName x.name).version;

  toInt =
    string:
    let
      digits = match "[[:space:]]*0*(-?[[:digit:]]+)[[:space:]]*" string;
    in
    if digits == null then throw "toInt: not a number: '${string}'" else builtins.fromJSON (head digits);

  fixedWidthString =
    width: filler: string:
    if stringLength string >= width then string else fixedWidthString width filler (filler + string);
}
