# Values defined in terms of themselves, and functions that extend them.
rec {
  /**
    The least fixed point of `f`: the value `x` with `x = f x`.

    ```nix
    fix (self: { a = 1; b = self.a + 1; })
    => { a = 1; b = 2; }
    ```
  */
  fix =
    f:
    let
      x = f x;
    in
    x;

  /**
    Put an overlay on a fixed-point function. `final` is the end result, `prev` what stood below.
  */
  extends =
    overlay: f: final:
    let
      prev = f final;
    in
    prev // overlay final prev;

  /**
    Two overlays as one: the second sees what the first has made.
  */
  composeExtensions =
    first: second: final: prev:
    let
      below = first final prev;
    in
    below // second final (prev // below);

  composeManyExtensions = builtins.foldl' composeExtensions (final: prev: { });

  /**
    A fixed point that can be extended later, by its attribute `extend`.
  */
  makeExtensible =
    f:
    fix f
    // {
      extend = overlay: makeExtensible (extends overlay f);
    };
}
