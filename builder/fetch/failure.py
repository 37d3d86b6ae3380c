"""What goes wrong with a fetch. Every text names the address and, where there is one, the remedy."""

from __future__ import annotations

from store.hashes import Hash


class FetchError(Exception):
    """A fetch that failed; the text is one or two sentences."""


class HashMismatch(FetchError):
    """What came is not what was asked for."""

    def __init__(self, what: str, wanted: Hash, got: Hash, remedy: str = "") -> None:
        super().__init__(
            f"hash mismatch in {what}:\n  specified: {wanted.sri()}\n  got:       {got.sri()}"
            + (f"\n{remedy}" if remedy else "")
        )
        self.wanted = wanted
        self.got = got


class Offline(FetchError):
    """An address in the network, when only this machine may be asked."""

    def __init__(self, url: str, remedy: str = "") -> None:
        super().__init__(f"'{url}' is on another machine, and none may be asked here{remedy and '; ' + remedy}")


class Cancelled(FetchError):
    """Whoever asked does not want it any more."""
