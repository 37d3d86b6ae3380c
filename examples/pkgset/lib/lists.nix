# Lists.
{ lib }:
let
  inherit (builtins)
    elem
    elemAt
    filter
    foldl'
    genList
    isList
    length
    ;
  inherit (lib.trivial) min max;
in
rec {
  inherit (builtins)
    all
    any
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isList
    length
    partition
    sort
    tail
    ;

  singleton = x: [ x ];

  /**
    Fold from the right: `foldr f z [ a b ]` is `f a (f b z)`.
  */
  foldr =
    f: nul: list:
    let
      count = length list;
      step = at: if at == count then nul else f (elemAt list at) (step (at + 1));
    in
    step 0;

  imap0 = f: list: genList (at: f at (elemAt list at)) (length list);
  imap1 = f: imap0 (at: f (at + 1));

  optional = condition: x: if condition then [ x ] else [ ];
  optionals = condition: list: if condition then list else [ ];

  toList = x: if isList x then x else [ x ];

  flatten = x: if isList x then builtins.concatMap flatten x else [ x ];

  range = first: last: if first > last then [ ] else genList (n: first + n) (last - first + 1);

  sublist =
    start: count: list:
    genList (at: elemAt list (start + at)) (max 0 (min count (length list - start)));

  take = count: sublist 0 count;
  drop = count: list: sublist count (length list) list;

  last = list: assert lib.throwIf (list == [ ]) "lists.last: the list is empty" true; elemAt list (length list - 1);
  init = list: assert lib.throwIf (list == [ ]) "lists.init: the list is empty" true; take (length list - 1) list;

  reverseList = list: let count = length list; in genList (at: elemAt list (count - at - 1)) count;

  # The first of each that are equal stays.
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];

  remove = x: filter (y: y != x);

  findFirst =
    holds: default: list:
    let
      found = filter holds list;
    in
    if found == [ ] then default else builtins.head found;

  count = holds: foldl' (n: x: if holds x then n + 1 else n) 0;

  zipListsWith =
    f: left: right:
    genList (at: f (elemAt left at) (elemAt right at)) (min (length left) (length right));

  zipLists = zipListsWith (fst: snd: { inherit fst snd; });

  sortOn = key: builtins.sort (a: b: key a < key b);

  subtractLists = without: filter (x: !elem x without);
  intersectLists = with_: filter (x: elem x with_);
}
