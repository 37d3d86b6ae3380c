let
  names = derivation {
    name = "names";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [
      "-c"
      "echo '{ alpha = 7600 + 54; }' > $out"
    ];
  };
  made = import names;
in
{
  first = made.alpha;
}
