# Who looks after what. All of them are made up.
{
  ada = {
    name = "Ada Example";
    email = "ada@example.org";
    github = "ada-example";
    githubId = 1;
  };
  grace = {
    name = "Grace Example";
    email = "grace@example.org";
    github = "grace-example";
    githubId = 2;
  };
}
