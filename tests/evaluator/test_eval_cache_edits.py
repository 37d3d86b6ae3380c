"""Whatever is edited between two runs: an answer from the cache is what evaluating gives."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.evaluator.asking_again import Asker, in_folder, variables

NAMES = ["a", "b.nix", "d", "d/default.nix", "d/x", "l"]
VARIABLES = ["ONE", "TWO"]

#: What a file may hold: all Nix, of two lengths, some of which read on.
CONTENTS = ["1", "2", "[1]", "./b.nix", "[ <a> ]", "import ./a", 'builtins.getEnv "ONE"', "builtins.readDir ./."]

#: Expressions about PATH, none of which fails for want of it.
PROBES = [
    "builtins.pathExists PATH",
    'builtins.pathExists (toString PATH + "/")',
    "if builtins.pathExists PATH then builtins.readFileType PATH else null",
    'if KIND == "regular" then builtins.readFile PATH else null',
    'if KIND == "regular" then builtins.hashFile "md5" PATH else null',
    'if KIND == "directory" then builtins.readDir PATH else null',
    'if KIND == "regular" then import PATH else null',
    "if builtins.pathExists (PATH + /default.nix) then import PATH else null",
    'if builtins.pathExists PATH then "${PATH}" else null',
    'if KIND == "directory" then builtins.filterSource (p: t: t != "regular" || baseNameOf p == "x") PATH else null',
    'if KIND == "directory" then builtins.filterSource (p: t: builtins.pathExists (dirOf p + "/x")) PATH else null',
    'if KIND == "directory" then builtins.path { path = PATH; name = "n"; filter = p: t: t == "symlink"; } else null',
    'if KIND != "" then (builtins.tryEval (builtins.path { path = PATH; name = "n"; })).success else null',
    "(builtins.tryEval <s/NAME>).value",
    "(builtins.tryEval <NAME>).success",
    'builtins.trace "at PATH" (builtins.getEnv "ONE" + builtins.getEnv "TWO")',
]


def expression(probe: str, name: str) -> str:
    """A probe about one of NAMES."""
    text = probe.replace("KIND", "(if builtins.pathExists PATH then builtins.readFileType PATH else null)")
    return text.replace("NAME", name).replace("PATH", f"./{name}")


class World:
    """A folder with few names, edited without regard; an edit that is impossible does nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str | None] = dict.fromkeys(VARIABLES)

    def write(self, name: str, text: str) -> None:
        """In place: the same inode."""
        path = self.root / name
        with path.open("r+" if path.exists() else "w") as file:
            file.write(text)
            file.truncate()

    def write_and_restore_times(self, name: str, text: str) -> None:
        before = (self.root / name).stat()
        self.write(name, text)
        os.utime(self.root / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    def save(self, name: str, text: str) -> None:
        """A new file renamed over the old one, with the old one's times."""
        fresh = self.root / "fresh"
        fresh.write_text(text)
        if (self.root / name).exists():
            shutil.copystat(self.root / name, fresh)
        fresh.rename(self.root / name)

    def remove(self, name: str, text: str) -> None:
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def make_folder(self, name: str, text: str) -> None:
        (self.root / name).mkdir()

    def exchange(self, name: str, text: str) -> None:
        """Two entries swap their names."""
        other = self.root / NAMES[len(text) % len(NAMES)]
        (self.root / name).rename(self.root / "between")
        try:
            other.rename(self.root / name)
        finally:
            (self.root / "between").rename(other if not other.exists() else self.root / name)

    def link(self, name: str, text: str) -> None:
        target = os.path.relpath(NAMES[(len(text) * 5) % len(NAMES)], os.path.dirname(name) or ".")
        (self.root / name).unlink(missing_ok=True)
        (self.root / name).symlink_to(target)

    def change_mode(self, name: str, text: str) -> None:
        (self.root / name).chmod(0o755 if len(text) % 2 else 0o644)

    def touch(self, name: str, text: str) -> None:
        (self.root / name).touch(exist_ok=len(text) % 2 == 0)

    def set_variable(self, name: str, text: str) -> None:
        self.environment[VARIABLES[len(name) % 2]] = None if len(text) % 3 == 0 else text[: len(text) % 3 - 1]


EDITS: list[Callable[[World, str, str], None]] = [
    World.write,
    World.write_and_restore_times,
    World.save,
    World.remove,
    World.make_folder,
    World.exchange,
    World.link,
    World.change_mode,
    World.touch,
    World.set_variable,
]

Edit = tuple[Callable[[World, str, str], None], str, str]


def edits_about(name: str) -> st.SearchStrategy[tuple[str, list[list[Edit]]]]:
    """Edits, most of which matter to whoever reads ``name``."""
    near = [name, *(other for other in NAMES if other.startswith(name + "/") or name.startswith(other + "/"))]
    names = st.sampled_from([*near, *near, *NAMES])
    edit: st.SearchStrategy[Edit] = st.tuples(st.sampled_from(EDITS), names, st.sampled_from(CONTENTS))
    return st.tuples(st.just(name), st.lists(st.lists(edit, min_size=1, max_size=2), min_size=4, max_size=8))


EXAMPLES = int(os.environ.get("TVIX_CACHE_EXAMPLES", "20"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*NAMES, "d", "d"]).flatmap(edits_about))
def test_edits_between_runs(about: tuple[str, list[list[Edit]]]) -> None:
    """Every probe is a request of its own, so that none covers up for what another has failed to note."""
    name, rounds = about
    folder = Path(tempfile.mkdtemp(prefix="tvix-cache-"))
    try:
        root = folder / "tree"
        (root / "d").mkdir(parents=True)
        for number, given_name in enumerate(["a", "b.nix", "d/default.nix", "d/x"]):
            (root / given_name).write_text(CONTENTS[number])
        (root / "l").symlink_to("d")
        world, asker = World(root), Asker(folder / "cache")
        for edits in [[], *rounds]:
            for edit, edited, text in edits:
                try:
                    edit(world, edited, text)
                except OSError:
                    continue
            with variables(world.environment), in_folder(root):
                for probe in PROBES:
                    words = ["--strict", "-I", f"s={root}", "-I", str(root / "d"), "-I", str(root)]
                    words += ["-E", expression(probe, name)]
                    reply = asker.ask(*words)
                    event(f"known {asker.knew()}, code {reply.code}")
                    assert reply == asker.afresh(*words)
    finally:
        shutil.rmtree(folder)
