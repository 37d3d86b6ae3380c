"""Whether attributes of nixpkgs, chosen at random, get the derivation that C++ Nix gives them.

    python -m benchmarks.compare --attrs 200 --seed 1 [--nixos] [--nixpkgs PATH] [--batch 50] [--json]

The choice follows from the seed: half of it from nixpkgs' top level, half from a few dozen nested sets
(python3Packages, cross compilation, …). Both sides evaluate the same attributes in batches, each batch in a process of
its own; what fails or is no derivation on both sides is passed over and another attribute drawn. Where two paths
differ, both derivation graphs are written, and the first real difference between them is shown. `--nixos` adds whole
NixOS systems. The exit code is 0 if there are no differences, 1 if there are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.batch import QUESTIONS
from benchmarks.contenders import find_nixpkgs
from benchmarks.derivation_difference import first_difference
from store import compiled, drv_file
from store.derivation import Derivation
from store.store_path import name_of

NESTED = """
    python3Packages python312Packages perlPackages haskellPackages rPackages rubyPackages nodePackages
    emacsPackages vimPlugins luaPackages ocamlPackages coqPackages rocqPackages kdePackages gnomeExtensions
    linuxPackages linuxPackages_latest php.extensions php.packages beamPackages agdaPackages idrisPackages xorg
    gst_all_1 terraform-providers qt6Packages llvmPackages llvmPackages_18 postgresqlPackages
    home-assistant-custom-components tree-sitter-grammars fishPlugins chickenPackages.chickenEggs sbclPackages
    octavePackages dotnetCorePackages azure-cli-extensions akkuPackages texlivePackages
    vscode-extensions.ms-python obs-studio-plugins zigPackages pantheon xfce mate cinnamon lomiri
    pkgsCross.aarch64-multiplatform pkgsCross.riscv64 pkgsCross.mingwW64 pkgsMusl pkgsStatic pkgsi686Linux
    pkgsLLVM
""".split()
"""Sets below the top level that attributes are drawn from; those that this nixpkgs lacks are passed over."""

SYSTEMS = ["small", "server", "desktop"]
"""The NixOS systems of compare.nix."""

DRAWN_AT_MOST = 20  # times as many attributes as are asked for
BATCH_SECONDS = 3600
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("NIX", "TVIX"))},
    "HOME": "/homeless",
    "NIX_PATH": "",
    "NIX_CONF_DIR": "/nonexistent",
    "NIX_CONFIG": "build-users-group =\nsubstituters =\n",
}

AttributePath = tuple[str, ...]


@dataclass
class Answer:
    """A side's word on one attribute: `value` is a `.drv` path or a type's name (or names), None when it throws.
    `error` is what is said when evaluation cannot go on at all."""

    value: object
    error: str = ""

    @property
    def derivation(self) -> str:
        return self.value if isinstance(self.value, str) and self.value.endswith(".drv") else ""


@dataclass
class Side:
    """One of the two evaluators, as a command that prints `[path, answer, error]` lines for a batch."""

    name: str
    run: Callable[[str, list[AttributePath]], Iterator[tuple[AttributePath, Answer]]]
    seconds: float = 0.0

    def ask(self, question: str, paths: list[AttributePath]) -> dict[AttributePath, Answer]:
        """An answer for each path. What ends a process is laid to the first path without one; the rest go on anew."""
        found: dict[AttributePath, Answer] = {}
        while rest := [path for path in paths if path not in found]:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            for path, answer in self.run(question, rest):
                found[path] = answer
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.seconds += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return found


@dataclass
class Tally:
    """What was found."""

    drawn: int = 0
    same: int = 0
    both_fail: int = 0
    no_derivations: int = 0
    differences: list[str] = field(default_factory=list)
    beyond_nix: list[str] = field(default_factory=list)


class Comparison:
    """Both evaluators on one nixpkgs."""

    def __init__(self, nixpkgs: Path, system: str, explain: int = 5) -> None:
        self.nixpkgs = nixpkgs
        self.system = system
        self.ours = Side("ours", self._ask_us)
        self.nix = Side("nix-instantiate", self._ask_nix)
        self.tally = Tally()
        self._explain = explain

    # --- asking ----------------------------------------------------------------------------------

    def _ask_us(self, question: str, paths: list[AttributePath]) -> Iterator[tuple[AttributePath, Answer]]:
        command = [sys.executable, "-m", "benchmarks.batch", question, str(self.nixpkgs), self.system]
        done = _run(command, json.dumps(paths), {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)})
        answered = 0
        for line in done.stdout.splitlines():
            path, value, error = json.loads(line)
            answered += 1
            yield tuple(path), Answer(value, error)
        if answered < len(paths):
            yield paths[answered], Answer(None, f"the process ended with {done.returncode}: {_last_words(done.stderr)}")

    def _ask_nix(self, question: str, paths: list[AttributePath]) -> Iterator[tuple[AttributePath, Answer]]:
        program = (
            f'let ask = (import {QUESTIONS} {{ nixpkgs = {self.nixpkgs}; system = "{self.system}"; }}).{question}; in '
            'builtins.foldl\' (_: path: builtins.trace ("compared: " + builtins.toJSON [ path (ask path) ]) null) null '
            '(builtins.fromJSON (builtins.getEnv "COMPARED_PATHS"))'
        )
        command = ["nix-instantiate", "--readonly-mode", "--eval", "-E", program]
        done = _run(command, "", {**ENVIRONMENT, "COMPARED_PATHS": json.dumps(paths)})
        answered = 0
        for line in done.stderr.splitlines():
            if line.startswith("trace: compared: "):
                path, value = json.loads(line.removeprefix("trace: compared: "))
                answered += 1
                yield tuple(path), Answer(value)
        if answered < len(paths):
            yield paths[answered], Answer(None, _last_words(done.stderr) or f"ended with {done.returncode}")

    # --- choosing --------------------------------------------------------------------------------

    def draw(self, seed: int) -> Iterator[AttributePath]:
        """Attributes without end, the same for the same seed: in turn of the top level and of a nested set."""
        sets: list[AttributePath] = [("pkgs",), *(("pkgs", *name.split(".")) for name in NESTED)]
        named = self.nix.ask("names", sets)
        names = {path: answer.value for path, answer in named.items() if isinstance(answer.value, list)}
        if ("pkgs",) not in names:
            raise RuntimeError(f"nix-instantiate: {named[('pkgs',)].error}")
        nested = sorted(path for path in names if path != ("pkgs",))
        chance = random.Random(seed)
        while True:
            for parent in [("pkgs",), chance.choice(nested)] if nested else [("pkgs",)]:
                yield (*parent, chance.choice(names[parent]))

    # --- comparing -------------------------------------------------------------------------------

    def compare(self, paths: list[AttributePath], limit: int) -> None:
        """Compares a batch, until `limit` derivations were compared in all."""
        ours = self.ours.ask("look", paths)
        theirs = self.nix.ask("look", paths)
        for path in paths:
            if self.tally.same + len(self.tally.differences) >= limit:
                return
            self.tally.drawn += 1
            self._judge(path, ours[path], theirs[path])

    def _judge(self, path: AttributePath, our: Answer, their: Answer) -> None:
        tally = self.tally
        name = ".".join(path[1:])
        if our.derivation and our.derivation == their.derivation:
            tally.same += 1
        elif our.derivation and their.derivation:
            tally.differences.append(
                f"{name}: {our.derivation} is {their.derivation} in Nix\n{self._why(path, our, their)}"
            )
        elif their.derivation:
            tally.differences.append(f"{name}: {our.error or our.value or 'throws'}, in Nix it is {their.derivation}")
        elif our.derivation:
            # An older Nix lacks some built-in functions; whatever else it is, it has to be looked at.
            tally.beyond_nix.append(f"{name}: {our.derivation}, in Nix {their.error or their.value or 'it throws'}")
        elif our.value is None and their.value is None:
            tally.both_fail += 1
        elif our.value == their.value:
            tally.no_derivations += 1
        else:
            tally.differences.append(
                f"{name}: {our.error or our.value or 'throws'}, in Nix {their.error or their.value or 'it throws'}"
            )

    def _why(self, path: AttributePath, our: Answer, their: Answer) -> str:
        if self._explain <= 0:
            return "    (not looked into)"
        self._explain -= 1
        with tempfile.TemporaryDirectory() as folder:
            our_store, their_root = Path(folder, "ours"), Path(folder, "theirs")
            our_store.mkdir()
            command = [sys.executable, "-m", "benchmarks.batch", "derivations", str(self.nixpkgs), self.system]
            environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}
            _run([*command, str(our_store)], json.dumps([path]), environment)
            program = (
                f'(import {QUESTIONS} {{ nixpkgs = {self.nixpkgs}; system = "{self.system}"; }}).value '
                f"(builtins.fromJSON ''{json.dumps(path)}'')"
            )
            _run(["nix-instantiate", "--store", f"local?root={their_root}", "-E", program], "", ENVIRONMENT)
            their_store = their_root / "nix" / "store"
            try:
                found = first_difference(
                    our.derivation,
                    their.derivation,
                    lambda one: _read(our_store, one),
                    lambda one: _read(their_store, one),
                )
            finally:
                for one in their_root.rglob("*"):  # a store is read-only
                    if one.is_dir() and not one.is_symlink():
                        one.chmod(0o755)
        return f"    {found}" if found else "    the derivations are equal, only the name that they go by is not"


def _read(store: Path, path: str) -> Derivation:
    return drv_file.parse((store / os.path.basename(path)).read_bytes(), name_of(path).removesuffix(".drv"))


def _run(command: list[str], text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=BATCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(
            command, -1, _decoded(late.stdout), f"{_decoded(late.stderr)}\nno end in {BATCH_SECONDS} seconds"
        )


def _decoded(output: object) -> str:
    return output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else ""


def _last_words(text: str) -> str:
    """The error at the end of what a process said."""
    lines = text.strip().splitlines()
    errors = [at for at, line in enumerate(lines) if line.lstrip().startswith("error: ")]
    if not errors:
        return lines[-1] if lines else ""
    told = lines[errors[-1] :]
    place = next((line.strip() for line in told if line.strip().startswith("at /")), "")
    return " ".join([told[0].strip(), place]).strip()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--attrs", type=int, default=100, help="how many derivations to compare")
    parser.add_argument("--seed", type=int, default=1, help="which ones: the same seed draws the same")
    parser.add_argument("--nixos", action="store_true", help="compare NixOS systems as well")
    parser.add_argument("--batch", type=int, default=50, help="attributes evaluated by one process")
    parser.add_argument("--explain", type=int, default=5, help="differences to look into")
    parser.add_argument("--system", default="x86_64-linux")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    if shutil.which("nix-instantiate") is None:
        sys.exit("no nix-instantiate here (Debian: apt-get install nix-bin)")
    start = time.monotonic()
    comparison = Comparison(find_nixpkgs(arguments.nixpkgs), arguments.system, arguments.explain)
    tally = comparison.tally
    if arguments.nixos:
        comparison.compare([("nixos", name) for name in SYSTEMS], len(SYSTEMS))
    limit = arguments.attrs + tally.same + len(tally.differences)
    drawing = comparison.draw(arguments.seed)
    met: set[AttributePath] = set()
    while tally.same + len(tally.differences) < limit and len(met) < arguments.attrs * DRAWN_AT_MOST:
        batch: list[AttributePath] = []
        for path in drawing:
            if path not in met:
                met.add(path)
                batch.append(path)
            if len(batch) == arguments.batch or len(met) >= arguments.attrs * DRAWN_AT_MOST:
                break
        comparison.compare(batch, limit)
        print(
            f"{tally.same} the same, {len(tally.differences)} differ, {tally.drawn} looked at, "
            f"{time.monotonic() - start:.0f} s",
            file=sys.stderr,
        )
    _report(arguments, comparison, time.monotonic() - start)
    return 1 if tally.differences else 0


def _report(arguments: argparse.Namespace, comparison: Comparison, seconds: float) -> None:
    tally = comparison.tally
    version = subprocess.run(
        ["nix-instantiate", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if arguments.json:
        result = {
            "seed": arguments.seed,
            "mode": compiled.mode(),
            "reference": version,
            **vars(tally),
            "cpu_seconds": {side.name: round(side.seconds, 1) for side in (comparison.ours, comparison.nix)},
            "seconds": round(seconds),
        }
        print(json.dumps(result, indent=2))
        return
    for text in tally.differences:
        print(f"DIFFERENT {text}")
    for text in tally.beyond_nix:
        print(f"ONLY HERE {text}")
    print(f"\nseed {arguments.seed}, {compiled.mode()}, against {version}, {seconds:.0f} s")
    print(f"{tally.same} derivations are the same, {len(tally.differences)} differences")
    print(
        f"of {tally.drawn} attributes looked at, {tally.both_fail} fail in both, {tally.no_derivations} are no "
        f"derivation, {len(tally.beyond_nix)} have a value only here"
    )
    print(f"processor time: {comparison.ours.seconds:.0f} s here, {comparison.nix.seconds:.0f} s in Nix")


if __name__ == "__main__":
    sys.exit(main())
