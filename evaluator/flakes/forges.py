"""GitHub, GitLab and SourceHut, whose trees are fetched as archives.

Specification: the Nix manual, "nix flake", "Types"; the APIs of the three.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from builder.fetch.failure import FetchError
from builder.fetch.git import REVISION
from builder.fetch.limits import Limits
from builder.fetch.transfer import downloaded

SCHEME = "https"
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}
_MOST = 1 << 24


def authorizations(tokens: Iterable[str]) -> dict[str, str]:
    """What to send to which host, of the setting ``access-tokens``: ``HOST=TOKEN``.

    GitLab says which kind a token is of (``PAT:…``, ``OAuth2:…``); either goes as a bearer's.
    """
    found: dict[str, str] = {}
    for each in tokens:
        host, _, token = each.partition("=")
        kind, separator, rest = token.partition(":")
        found[host] = f"Bearer {rest}" if separator and kind in ("PAT", "OAuth2") else f"token {token}"
        if host == _HOSTS["github"]:
            found["api.github.com"] = found[host]
    return found


def archive(kind: str, items: dict[str, str], tokens: Mapping[str, str] | None = None) -> str:
    """The address of the archive of ``rev``; private repositories have it elsewhere, for those who have a token."""
    host, owner, repo, rev = _host(kind, items), items["owner"], items["repo"], items["rev"]
    if kind == "github":
        if host == _HOSTS[kind] and tokens and host in tokens:
            return f"{SCHEME}://api.github.com/repos/{_part(owner)}/{_part(repo)}/tarball/{rev}"
        if host == _HOSTS[kind]:
            return f"{SCHEME}://{host}/{_part(owner)}/{_part(repo)}/archive/{rev}.tar.gz"
        return f"{SCHEME}://{host}/api/v3/repos/{_part(owner)}/{_part(repo)}/tarball/{rev}"
    if kind == "gitlab":
        project = quote(f"{owner}/{repo}", safe="")
        return f"{SCHEME}://{host}/api/v4/projects/{project}/repository/archive.tar.gz?sha={rev}"
    return f"{SCHEME}://{host}/{_part(owner)}/{_part(repo)}/archive/{rev}.tar.gz"


def newest(kind: str, items: dict[str, str], limits: Limits) -> str:
    """The revision that ``ref`` (the default branch if there is none) is at now. Raises FetchError."""
    host, owner, repo, ref = _host(kind, items), items["owner"], items["repo"], items.get("ref", "HEAD")
    named = f"{kind}:{owner}/{repo}"
    if kind == "sourcehut":
        return _sourcehut(f"{SCHEME}://{host}/{_part(owner)}/{_part(repo)}", ref, named, limits)
    if kind == "github":
        api = "api.github.com" if host == _HOSTS[kind] else f"{host}/api/v3"
        url = f"{SCHEME}://{api}/repos/{_part(owner)}/{_part(repo)}/commits/{quote(ref, safe='/')}"
    else:
        project = quote(f"{owner}/{repo}", safe="")
        url = f"{SCHEME}://{host}/api/v4/projects/{project}/repository/commits?ref_name={quote(ref, safe='')}"
    try:
        answer = json.loads(_text(url, limits))
        if kind == "gitlab":
            answer = answer[0]
        rev = answer["sha" if kind == "github" else "id"]
    except (ValueError, LookupError, TypeError):
        rev = ""
    if not isinstance(rev, str) or not REVISION.fullmatch(rev):
        raise FetchError(f"cannot find out which revision '{ref}' of '{named}' is: '{url}' does not say; name a 'rev'")
    return rev


def _sourcehut(base: str, ref: str, named: str, limits: Limits) -> str:
    if ref == "HEAD":
        head = _text(f"{base}/HEAD", limits).strip()
        if not head.startswith("ref: "):
            raise FetchError(f"cannot find out the default branch of '{named}': '{base}/HEAD' does not say")
        wanted = [head.removeprefix("ref: ")]
    else:
        wanted = [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
    refs: dict[str, str] = {}
    for line in _text(f"{base}/info/refs", limits).splitlines():
        rev, _, name = line.partition("\t")
        refs[name] = rev
    for name in wanted:
        if REVISION.fullmatch(refs.get(name, "")):
            return refs[name]
    raise FetchError(f"cannot fetch '{named}': it has no branch or tag '{ref}'")


def _host(kind: str, items: dict[str, str]) -> str:
    return items.get("host") or _HOSTS[kind]


def _part(text: str) -> str:
    return quote(text, safe="~")


def _text(url: str, limits: Limits) -> str:
    with downloaded(url, limits) as download:
        path: Path | None = download.path
        if path is None or path.stat().st_size > _MOST:
            raise FetchError(f"what '{url}' answers is no list of revisions: it is too large")
        return path.read_text("utf-8", "replace")
