# A file that fails in a function of its own.
let
  fail = what: throw "${what} went wrong";
in
fail "everything"
