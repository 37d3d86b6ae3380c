"""Where two derivation graphs begin to differ: not "the hashes differ" but the attribute that makes them differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from store.derivation import Derivation
from store.store_path import name_of

Load = Callable[[str], Derivation]
"""Reads a derivation by its store path; KeyError or OSError if it is not there."""

_HASHED: Final = re.compile(r"(/nix/store/)[0-9a-z]{32}(?=-)|/[0-9a-z]{52}(?![0-9a-z])")
_EITHER_SIDE: Final = 60


@dataclass(frozen=True)
class Difference:
    """What differs. ``chain`` holds the names of the derivations from the outermost to the one meant, ``what`` the
    part of it (``env.src``), ``ours`` and ``theirs`` its texts, cut to where they part."""

    chain: list[str]
    what: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{' -> '.join(self.chain)}: {self.what}\n    ours   {self.ours}\n    theirs {self.theirs}"


def first_difference(ours: str, theirs: str, load_ours: Load, load_theirs: Load) -> Difference | None:
    """The first real difference between the graphs of two derivations, given by their paths; None when they are equal.

    Real is what does not come from an input: paths are followed as deep as they differ, and what is left
    is compared without hashes. Only where nothing else differs a hash itself is the difference (of a source, say).
    """
    return _Search(load_ours, load_theirs).between(ours, theirs, [])


class _Search:
    def __init__(self, load_ours: Load, load_theirs: Load) -> None:
        self._load_ours = load_ours
        self._load_theirs = load_theirs
        self._seen: set[tuple[str, str]] = set()

    def between(self, ours: str, theirs: str, above: list[str]) -> Difference | None:
        if ours == theirs or (ours, theirs) in self._seen:
            return None
        self._seen.add((ours, theirs))
        chain = [*above, name_of(ours).removesuffix(".drv")]
        if name_of(ours) != name_of(theirs):
            return Difference(chain, "name", name_of(ours), name_of(theirs))
        try:
            left, right = self._load_ours(ours), self._load_theirs(theirs)
        except (KeyError, OSError) as error:
            return Difference(chain, f"cannot be read ({error})", ours, theirs)
        # An input is more telling than the attribute that names it, so they come first.
        for one, other in _paired(left, right):
            if (found := self.between(one, other, chain)) is not None:
                return found
        for mask in (True, False):
            for (what, one), (_, other) in _parts(left, right):
                if _text(one, mask) != _text(other, mask):
                    return Difference(chain, what, *_around(one, other))
        return None


def _paired(left: Derivation, right: Derivation) -> Iterator[tuple[str, str]]:
    """The inputs that only one side has, matched by name and order."""
    ours = sorted(set(left.input_drvs) - set(right.input_drvs), key=name_of)
    theirs = sorted(set(right.input_drvs) - set(left.input_drvs), key=name_of)
    for one in ours:
        match = next((other for other in theirs if name_of(other) == name_of(one)), None)
        if match is not None:
            theirs.remove(match)
            yield one, match


def _parts(left: Derivation, right: Derivation) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    ours, theirs = _fields(left), _fields(right)
    for what in [*ours, *(name for name in theirs if name not in ours)]:
        yield (what, ours.get(what, "(absent)")), (what, theirs.get(what, "(absent)"))


def _fields(drv: Derivation) -> dict[str, str]:
    fields = {"system": drv.system, "builder": drv.builder}
    fields.update({f"args[{at}]": text for at, text in enumerate(drv.args)})
    fields.update({f"env.{name}": drv.env[name] for name in sorted(drv.env) if name not in drv.outputs})
    # What follows from everything else comes last.
    follows = {f"env.{name}": drv.env[name] for name in sorted(drv.env) if name in drv.outputs}
    follows.update(
        {
            f"outputs.{name}": f"{drv.outputs[name].method_algo} {drv.outputs[name].hash} {drv.outputs[name].path}"
            for name in sorted(drv.outputs)
        }
    )
    # By name, lest a different hash put them into another order.
    fields["inputSrcs"] = " ".join(sorted(drv.input_srcs, key=lambda path: (name_of(path), path)))
    fields["inputDrvs"] = " ".join(
        f"{path}!{','.join(sorted(drv.input_drvs[path]))}"
        for path in sorted(drv.input_drvs, key=lambda path: (name_of(path), path))
    )
    return fields | follows


def _text(text: str, mask: bool) -> str:
    return _HASHED.sub(r"\1", text) if mask else text


def _around(ours: str, theirs: str) -> tuple[str, str]:
    """Both texts near the first character in which they differ, as literals."""
    masked = (
        _HASHED.sub(lambda found: "#" * len(found[0]), ours),
        _HASHED.sub(lambda found: "#" * len(found[0]), theirs),
    )
    left, right = masked if masked[0] != masked[1] else (ours, theirs)
    at = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = max(0, at - _EITHER_SIDE)
    return _cut(ours, start, at), _cut(theirs, start, at)


def _cut(text: str, start: int, at: int) -> str:
    end = at + _EITHER_SIDE
    return ("…" if start else "") + ascii(text[start:end]) + ("…" if end < len(text) else "")
