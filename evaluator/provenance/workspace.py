"""The files somebody is editing, the package set around them, and answers about both.

All of this runs on the evaluation thread. What a question needs is worked out on demand and kept: the package set
once, each file's context once for each version of its text.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Final

from evaluator.code.coerce import canonical
from evaluator.code.functions import call
from evaluator.io.files import Files
from evaluator.io.store import StoreAccess
from evaluator.opening import open_session
from evaluator.provenance.context import FileContext, Value, chain_to, select
from evaluator.provenance.data import Facts, Failure, Member, Target
from evaluator.provenance.describe import facts, member
from evaluator.provenance.failures import failures
from evaluator.provenance.generation import OBSERVED_CALLS, Generation, Surroundings
from evaluator.provenance.untracked import Tracked
from evaluator.runtime.errors import EvalError, HoleForced
from evaluator.runtime.source import Place
from evaluator.runtime.values import EMPTY_ATTRS, Attrs, force
from evaluator.session import search_path_entries
from store.store_path import STORE_DIR

_REMEMBERED: Final = 4


class Known:
    """An answer: facts or members, the route that the file was reached by, and whether an edit may have changed it."""

    def __init__(self, route: str, stale: bool) -> None:
        self.route: Final = route
        self.stale: Final = stale
        self.facts: Facts | None = None
        self.members: tuple[Member, ...] = ()


class Workspace:
    """Documents, roots and the package set; forgets what an edit makes wrong."""

    def __init__(
        self,
        roots: tuple[str, ...],
        nixpkgs: str,
        search_path: tuple[str, ...],
        system: str,
        store: StoreAccess | None = None,
    ) -> None:
        self.roots: Final = roots
        self.nixpkgs: Final = nixpkgs.rstrip("/")
        entries = list(search_path)
        if self.nixpkgs and not any(entry.startswith("nixpkgs=") for entry in entries):
            # Somebody who has no <nixpkgs> still means the one that was found.
            entries.append(f"nixpkgs={self.nixpkgs}")
        self.files: Final = Files()
        self.session: Final = open_session(
            self.files, search_path_entries(entries), system, observe=OBSERVED_CALLS, tolerant=True, shared=self.nixpkgs
        )
        self.session.trace_output = []
        if store is not None:
            self.session.use_store(store)
        self._packages: Attrs | None = None
        self._no_packages = ""
        self._around: Final = Surroundings(self.session, self.nixpkgs, roots, self.packages)
        self._tracked: Final = Tracked(self.files, self._around.references)
        self._current = Generation(self._around)
        self._current.activate()
        self._next: Generation | None = None
        self._changed: Final[set[str]] = set()
        self._asked: Final[deque[str]] = deque(maxlen=_REMEMBERED)

    # --- documents -----------------------------------------------------------------------------

    def document(self, path: str, text: str | None) -> None:
        """A document was opened, changed or (None) closed."""
        before = self.files.parsed(path)
        if text is None:
            self.files.close_document(path)
        else:
            self.files.open_document(path, text)
        if before is None and os.path.exists(path):
            return  # nothing that was worked out so far has looked at it
        if before is not None and text is not None and before.file.text == text:
            return
        if not self._around.in_nixpkgs(path):
            self._changed.add(path)
            self._next = None

    def came(self) -> None:
        """Something is in the store that was not: whatever failed for want of it may have a value now."""
        self._changed.add(STORE_DIR)
        self._around.flakes.look_again()
        self._next = None
        self._no_packages = ""

    @property
    def behind(self) -> bool:
        """Whether there is an edit that the answers do not know of everywhere yet."""
        return bool(self._changed)

    def catch_up(self) -> None:
        """Works out the next generation for what was asked of lately, and makes it the one that answers come from.

        May be interrupted at any time and called again: it carries on.
        """
        following = self._next
        if following is None:
            following = self._next = Generation(self._around)
        following.activate()
        try:
            for path in self._asked:
                with suppress(EvalError):
                    following.context(path)
        finally:
            self._current.activate()
        self._current = following
        self._next = None
        self._changed.clear()
        following.activate()

    def _is_stale(self, path: str, context: FileContext) -> bool:
        """Whether an edit elsewhere, or one that its own callers do not know of yet, may change a file's values."""
        if not self._changed or self._around.in_nixpkgs(path):
            return False
        return bool(self._changed - {path}) or bool(context.given)

    # --- the package set -----------------------------------------------------------------------

    def packages(self) -> Attrs | None:
        """The workspace's package set; None when there is none or it fails (:meth:`why_no_packages` tells)."""
        if self._packages is None and self.nixpkgs and not self._no_packages:
            try:
                function = self.session.import_file(self.nixpkgs)
                value = force(call(function, EMPTY_ATTRS))
                if isinstance(value, Attrs):
                    self._packages = value
                else:
                    self._no_packages = f"{self.nixpkgs} is no package set"
            except EvalError as error:
                self._no_packages = error.message
        return self._packages

    def warm(self) -> None:
        """Loads what nearly every question about a package file needs."""
        packages = self.packages()
        if packages is not None:
            for name in ("lib", "stdenv", "fetchurl"):
                with suppress(EvalError):
                    packages.get(name)

    def why_no_packages(self) -> str:
        """Why there is no package set; empty when there is one."""
        if self.packages() is not None:
            return ""
        return self._no_packages or "no nixpkgs was found"

    # --- answers -------------------------------------------------------------------------------

    def describe(self, target: Target) -> Known:
        """Facts about a target's value. Raises EvalError."""
        context, found = self._value(target)
        known = self._known(context)
        known.facts = facts(self.session, found.value, found.defined)
        return known

    def members(self, target: Target, limit: int) -> Known:
        """The attributes of a target's value (none for what is no set), ``limit`` in detail. Raises EvalError."""
        context, found = self._value(target)
        known = self._known(context)
        known.members = self._members(found.value, limit)
        return known

    def scope(self, path: str, offset: int) -> Known:
        """The names that the ``with`` expressions around an offset bring in. Raises EvalError."""
        context = self._context(path)
        names: dict[str, Member] = {}
        for namespace in context.namespaces(offset):
            for found in self._members(namespace, 0):
                names.setdefault(found.name, found)
        known = self._known(context)
        known.members = tuple(names.values())
        return known

    def arguments(self) -> Known:
        """The names that a caller could pass to a file's function: those of the package set. Raises EvalError."""
        packages = self.packages()
        if packages is None:
            raise EvalError(self.why_no_packages())
        known = Known("arguments by name from nixpkgs", False)
        known.members = self._members(packages, 0)
        return known

    def failures(self, path: str) -> list[Failure]:
        """What goes wrong when a file is evaluated. Raises EvalError for one that cannot be read."""
        context = self._context(path)
        return [*failures(self.session, context), *self._tracked.complaints(context.parsed.file.path)]

    def _context(self, path: str) -> FileContext:
        path = canonical(path)
        if path in self._asked:
            self._asked.remove(path)
        self._asked.appendleft(path)
        return self._current.context(path)

    def _value(self, target: Target) -> tuple[FileContext, Value]:
        context = self._context(target.path)
        chain = chain_to(context.parsed.source.root, target.start, target.end)
        if not chain:
            raise HoleForced("nothing here has a value", Place(context.parsed.file, target.start, target.end))
        found = context.value_at(chain)
        for name in target.attrs:
            found = select(found.value, name, Place(context.parsed.file, target.start, target.end))
        return context, found

    def _known(self, context: FileContext) -> Known:
        return Known(context.route, self._is_stale(context.parsed.file.path, context))

    def _members(self, value: object, limit: int) -> tuple[Member, ...]:
        if not isinstance(value, Attrs):
            return ()
        return tuple(member(self.session, value, name, index < limit) for index, name in enumerate(sorted(value.items)))
