# A set of 10,000 attributes under 20 overlays, each of which replaces and adds some, tied into a fixed point.
let
  inherit (builtins)
    attrNames
    foldl'
    genList
    length
    listToAttrs
    ;
  fix =
    f:
    let
      x = f x;
    in
    x;
  extends =
    overlay: f: final:
    let
      prev = f final;
    in
    prev // overlay final prev;
  base =
    final:
    listToAttrs (
      genList (n: {
        name = "a${toString n}";
        value = {
          inherit n;
          next = final."a${toString (n / 2)}";
        };
      }) 10000
    );
  overlay =
    n: final: prev:
    listToAttrs (
      genList (m: {
        name = "a${toString (m * 20 + n)}";
        value = prev."a${toString (m * 20 + n)}" // {
          layer = n;
          below = final."a${toString (m * 10 + n)}".n;
        };
      }) 400
    )
    // {
      "own${toString n}" = prev.a0 // {
        overlay = n;
      };
    };
  set = fix (foldl' (f: n: extends (overlay n) f) base (genList (n: n) 20));
  sum = foldl' (total: name: total + (set.${name}.below or 1) + (set.${name}.layer or 0)) 0 (attrNames set);
  updates = foldl' (all: n: all // { "x${toString n}" = n; }) set (genList (n: n) 200);
in
[
  (length (attrNames set))
  sum
  (length (attrNames updates))
]
