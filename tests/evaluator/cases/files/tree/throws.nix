{
  a = 1;
  b =
    throw "from a file";
}
