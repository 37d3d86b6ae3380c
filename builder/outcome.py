"""What is wished for, and how wishes end otherwise than well."""

from __future__ import annotations

from store.records import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """A derivation and those of its outputs that are wanted (none named: all), or a plain store path."""

    path: str
    outputs: tuple[str, ...] = ()

    @staticmethod
    def of(element: str) -> Wish:
        """The wish that an element of a string context is (``PATH``, ``!OUTPUT!DRV``), or ``DRV!OUTPUT,…`` as printed.

        ``=DRV`` wants the ``.drv`` itself, which nobody can build: it is not a wish.
        """
        if element.startswith("!"):
            _, output, path = element.split("!", 2)
            return Wish(path, (output,))
        path, _, outputs = element.partition("!")
        return Wish(path, tuple(outputs.split(",")) if outputs and outputs != "*" else ())


class RealiseError(Exception):
    """Something wished for could not be made; the text says what and why."""


class Cancelled(RealiseError):
    """Whoever asked did not want it any more; nothing is left behind."""


class BuildFailed(RealiseError):
    """A derivation's build failed, or a path can neither be fetched nor built.

    ``drv_path``: which one. ``why``: one sentence. ``log``: the last lines of what it said. ``kind`` is ``"build"``,
    ``"timeout"``, ``"hash-mismatch"``, ``"not-deterministic"`` or ``"unbuildable"`` (another system, no way to get
    it), from which follows :attr:`exit_code`. ``needed_by`` is the chain of derivations from the wish down to this one,
    without it. ``others``: further failures of the same call, when it kept going.
    """

    def __init__(
        self,
        drv_path: str,
        why: str,
        log: tuple[str, ...] = (),
        kind: str = "build",
        needed_by: tuple[str, ...] = (),
        others: tuple[BuildFailed, ...] = (),
    ) -> None:
        super().__init__(f"build of '{drv_path}' failed: {why}" if drv_path.endswith(".drv") else why)
        self.drv_path = drv_path
        self.why = why
        self.log = log
        self.kind = kind
        self.needed_by = needed_by
        self.others = others

    @property
    def exit_code(self) -> int:
        """What a command ends with, as nix-build: 100, 101 timeout, 102 hash mismatch, 104 not deterministic, combined.

        1 when nothing was even tried.
        """
        bits = 0
        for failure in (self, *self.others):
            bits |= _BITS[failure.kind]
        return 0x60 | bits if bits else 1


_BITS = {"build": 0x04, "unbuildable": 0, "timeout": 0x05, "hash-mismatch": 0x06, "not-deterministic": 0x08}
