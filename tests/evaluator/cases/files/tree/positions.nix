let
  c = 3;
  name = "dynamic";
in
rec {
  a = 1;
  inherit c;
  inherit ({ d = 4; }) d;
    e.f.g = 5;
  "quoted" = 6;
  ${name} = 7;
  e.f.h = 8;
  merged = { x = 1; } // {
    y = 2;
  };
  function = { one, two ? 2,
    three }: one;
  "ü" = 1;  after = "ü"; /* é */ last = 2;
}
