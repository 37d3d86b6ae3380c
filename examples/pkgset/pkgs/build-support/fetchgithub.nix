# Fetches a revision of a repository as a folder.
{ lib, fetchurl }:
lib.makeOverridable (
  {
    owner,
    repo,
    rev ? "refs/tags/${tag}",
    tag ? throw "fetchFromGitHub: neither rev nor tag is given",
    hash,
    name ? "source",
    domain ? "github.com",
  }:
  fetchurl {
    inherit name hash;
    url = "https://${domain}/${owner}/${repo}/archive/${rev}.tar.gz";
    recursiveHash = true;
    postFetch = ''
      mkdir unpacked
      tar -x -C unpacked --strip-components=1 -f "$out"
      rm "$out"
      mv unpacked "$out"
    '';
    passthru = {
      inherit owner repo rev;
    };
    meta.homepage = "https://${domain}/${owner}/${repo}";
  }
)
