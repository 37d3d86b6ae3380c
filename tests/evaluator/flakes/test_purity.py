"""Pure evaluation: nothing of the surroundings is seen; flakes are pure unless it is said otherwise."""

from __future__ import annotations

import pytest

from tests.evaluator.flakes.conftest import World

#: What is asked, and what is said; without the latter, what is answered.
FORBIDDEN = {
    "a file": ("builtins.readFile @/file", "access to absolute path '@/file' is forbidden in pure eval mode"),
    "a folder": ("builtins.readDir @/.", "access to absolute path '@' is forbidden in pure eval mode"),
    "whether it is there": ("builtins.pathExists @/file", "is forbidden in pure eval mode (use '--impure'"),
    "an import": ("import @/file", "access to absolute path '@/file' is forbidden in pure eval mode"),
    "a copy": ('"${@/file}"', "access to absolute path '@/file' is forbidden in pure eval mode"),
    "the search path": ("<nixpkgs>", "was not found in the Nix search path"),
    "the system": ("builtins.currentSystem", "attribute 'currentSystem' missing"),
    "the time": ("builtins.currentTime", "attribute 'currentTime' missing"),
    "an address": ('builtins.fetchurl "file://@/file"', "requires a 'sha256' argument"),
    "a repository": ("builtins.fetchGit @/r", "must be locked"),
    "a name": ('builtins.getFlake "nixpkgs"', "cannot call 'getFlake' on unlocked flake reference 'nixpkgs'"),
    "a flake": ('builtins.getFlake "git+file://@/r"', "cannot call 'getFlake' on unlocked flake reference"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_not_seen(world: World, name: str) -> None:
    text, said = (part.replace("@/.", "@").replace("@", str(world.root)) for part in FORBIDDEN[name])
    (world.root / "file").write_text("1")
    world.repository("r", "{ outputs = i: { }; }")
    done = world.tvix("--eval", "--pure-eval", "-I", f"nixpkgs={world.root}", "-E", text, ok=False)
    assert done.code == 1
    assert said in done.err


def test_what_is_pinned_is_seen(world: World) -> None:
    repository = world.repository("r", "{ outputs = i: { x = 7; }; }", a="a\n")
    rev = repository.git("rev-parse", "HEAD")
    text = f'builtins.readFile "${{builtins.fetchGit {{ url = "{repository.url}"; rev = "{rev}"; }}}}/a"'
    assert world.tvix("--eval", "--pure-eval", "-E", text).out == '"a\\n"\n'
    text = f'(builtins.getFlake "git+{repository.url}?rev={rev}").x'
    assert world.tvix("--eval", "--pure-eval", "-E", text).out == "7\n"
    assert world.tvix("--eval", "--pure-eval", "-E", 'builtins.getEnv "HOME"').out == '""\n'
    assert world.tvix("--eval", "--pure-eval", "--strict", "-E", "builtins.nixPath").out == "[ ]\n"


def test_flakes_are_pure_unless_it_is_said_otherwise(world: World) -> None:
    world.folder("plain", file="plain\n")
    top = world.repository(
        "top",
        """{
          inputs.plain = { url = "path:@/plain"; flake = false; };
          outputs = { self, plain }: {
            home = builtins.getEnv "HOME";
            own = builtins.readFile ./data;
            input = builtins.readFile "${plain}/file";
            system = builtins ? currentSystem;
            abroad = builtins.readFile @/plain/../other;
          };
        }""",
        data="data\n",
    )
    (world.root / "other").write_text("other\n")
    world.tvix("flake", "lock", cwd=top.path)
    top.commit()
    for flags, expected in (([], ['""', "false"]), (["--impure"], [f'"{world.root}/home"', "true"])):
        for name, answer in zip(("home", "system"), expected, strict=True):
            assert world.tvix("--flake", f".#{name}", *flags, cwd=top.path).out == answer + "\n"
        assert world.tvix("--flake", ".#own", *flags, cwd=top.path).out == '"data\\n"\n'
        assert world.tvix("--flake", ".#input", *flags, cwd=top.path).out == '"plain\\n"\n'
    assert "forbidden in pure eval mode" in world.tvix("--flake", ".#abroad", cwd=top.path, ok=False).err
    assert world.tvix("--flake", ".#abroad", "--impure", cwd=top.path).out == '"other\\n"\n'
