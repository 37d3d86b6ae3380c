{
  good = 1;
  bad = goood;
}
