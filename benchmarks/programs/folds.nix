# Loops as Nix has them.
let
  inherit (builtins)
    elemAt
    filter
    foldl'
    genList
    length
    ;
  numbers = genList (n: n) 400000;
in
[
  (foldl' (sum: n: sum + n) 0 numbers)
  (foldl' (sum: n: if n / 2 * 2 == n then sum + n else sum - 1) 0 numbers)
  (length (filter (n: n > 1000) (map (n: n * 3) numbers)))
  (foldl' (
    state: n:
    let
      low = if n < state.low then n else state.low;
      high = if n > state.high then n else state.high;
    in
    builtins.seq low (builtins.seq high { inherit low high; })
  ) { low = 0; high = 0; } numbers)
  (foldl' (last: n: elemAt numbers n) 0 numbers)
]
