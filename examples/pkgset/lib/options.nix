# Declaring options.
{ lib }:
let
  inherit (builtins) concatStringsSep isAttrs match;
in
rec {
  isOption = value: value._type or null == "option";

  /**
    Declare an option. All arguments are optional: `default`, `defaultText`, `example`, `description`, `type`,
    `apply` (a function on the merged value), `internal`, `visible`, `readOnly`.
  */
  mkOption = args: args // { _type = "option"; };

  mkEnableOption =
    what:
    mkOption {
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
      type = lib.types.bool;
    };

  /**
    An option that takes a package and falls back on the one of that name in the package set.
  */
  mkPackageOption =
    pkgs: name:
    {
      nullable ? false,
      default ? name,
    }:
    mkOption {
      type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
      default = if default == null then null else pkgs.${default};
      defaultText = literalExpression "pkgs.${if default == null then "null" else default}";
      description = "The ${name} package to use.";
    };

  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };

  # A path to an option as a person writes it.
  showOption =
    path:
    let
      show = part: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" part != null || match "<.*>|[*]" part != null then part else "\"${part}\"";
    in
    concatStringsSep "." (map show path);

  # What a set of evaluated options offers, as a flat list for documentation.
  optionAttrSetToDocList =
    options:
    lib.concatLists (
      lib.mapAttrsToList (
        name: value:
        if isOption value then
          [
            {
              name = showOption value.loc;
              inherit (value) loc declarations;
              description = value.description or "";
              type = value.type.description;
              readOnly = value.readOnly or false;
            }
          ]
          ++ optionAttrSetToDocList (builtins.removeAttrs (value.type.getSubOptions value.loc) [ "_module" ])
        else if isAttrs value then
          optionAttrSetToDocList value
        else
          [ ]
      ) options
    );
}
