let
  make = name: derivation {
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    outputs = [ "out" "dev" ];
  };
  twice = make "twice";
in
{
  all = {
    b = make "b";
    a = make "a";
    same = twice;
    once = twice;
    dev = (make "g").dev;
    plain.inner = make "inner";
    entered = { recurseForDerivations = true; c = make "c"; deeper.e = make "e"; f = { q }: make "f"; };
    left = { recurseForDerivations = false; d = make "d"; };
    "with.dot" = make "dot";
    with-dash_and-plus = make "dash";
    listed = [ (make "listed") ];
    number = 1;
  };
  list = [ (make "one") [ (make "two") { three = make "three"; } ] ];
  mixed = [ (make "one") 1 ];
  channels = { _combineChannels = [ ]; nested.deep = make "deep"; };
  function = { name ? "default" }: make name;
  needy = { name }: make name;
  any = { name ? "none", ... }@args: make (if args ? extra then args.extra else name);
  functor = { __functor = self: { name ? "functor" }: make name; };
  throws = { a = make "a"; b = throw "no"; };
  asserts = { a = make "a"; b = assert false; 1; };
  nameless = { type = "derivation"; };
  pathless = { type = "derivation"; name = "x"; outputName = "out"; };
  outside = { type = "derivation"; name = "x"; outputName = "out"; drvPath = "/tmp/x.drv"; };
  outputless = (make "x") // { outputName = ""; };
}
