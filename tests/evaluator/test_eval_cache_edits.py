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


def expression(probes: list[tuple[str, str]]) -> str:
    """A list of the values of probes, each about one of NAMES."""
    found = []
    for probe, name in probes:
        path = f"./{name}"
        text = probe.replace("KIND", "(if builtins.pathExists PATH then builtins.readFileType PATH else null)")
        found.append("(" + text.replace("NAME", name).replace("PATH", path) + ")")
    return f"[ {' '.join(found)} ]"


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
edits: st.SearchStrategy[Edit] = st.tuples(st.sampled_from(EDITS), st.sampled_from(NAMES), st.sampled_from(CONTENTS))
questions = st.lists(st.tuples(st.sampled_from(PROBES), st.sampled_from(NAMES)), min_size=2, max_size=5).map(expression)
# Long enough that the one edit that matters comes after a run that read what it edits.
runs = st.lists(st.tuples(st.lists(edits, max_size=2), st.integers(0, 1)), min_size=10, max_size=14)
EXAMPLES = int(os.environ.get("TVIX_CACHE_EXAMPLES", "60"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(questions, min_size=1, max_size=2), runs)
def test_edits_between_runs(asked: list[str], steps: list[tuple[list[Edit], int]]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tvix-cache-"))
    try:
        root = folder / "tree"
        (root / "d").mkdir(parents=True)
        for number, name in enumerate(["a", "b.nix", "d/default.nix", "d/x"]):
            (root / name).write_text(CONTENTS[number])
        (root / "l").symlink_to("d")
        world, asker = World(root), Asker(folder / "cache")
        for edits_now, which in steps:
            for edit, name, text in edits_now:
                try:
                    edit(world, name, text)
                except OSError:
                    continue
            text = asked[which % len(asked)]
            words = ["--strict", "-I", f"s={root}", "-I", str(root / "d"), "-I", str(root), "-E", text]
            with variables(world.environment), in_folder(root):
                reply = asker.ask(*words)
                knew = asker.knew()
                assert reply == asker.afresh(*words)
            event(f"known {knew}, code {reply.code}")
    finally:
        shutil.rmtree(folder)
