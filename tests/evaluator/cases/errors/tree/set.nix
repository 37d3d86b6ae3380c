{
  deep = {
    value = 1 + "one";
  };
}
