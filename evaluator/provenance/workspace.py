"""The files somebody is editing, the package set around them, and answers about both.

All of this runs on the evaluation thread. What a question needs is worked out on demand and kept: the package set
once, each file's context once for each version of its text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from evaluator.code.functions import call
from evaluator.io.files import Files, ParsedFile
from evaluator.provenance import route as routes
from evaluator.provenance.context import FileContext, Value, chain_to, select
from evaluator.provenance.data import Facts, Member, Target
from evaluator.provenance.describe import facts, member
from evaluator.provenance.route import References, Route
from evaluator.runtime.coerce import canonical
from evaluator.runtime.errors import EvalError, HoleForced
from evaluator.runtime.source import Place
from evaluator.runtime.values import EMPTY_ATTRS, Attrs, force
from evaluator.session import Session, search_path_entries
from evaluator.syntax import tree

_OBSERVED: Final = 2
_NEAREST_FOLDERS: Final = 8
_SKIPPED_FOLDERS: Final = frozenset([".git", "node_modules", "result", ".direnv", "target", "dist", "__pycache__"])


class Workspace:
    """Documents, roots and the package set; forgets what an edit makes wrong."""

    def __init__(self, roots: tuple[str, ...], nixpkgs: str, search_path: tuple[str, ...], system: str) -> None:
        self.roots: Final = roots
        self.nixpkgs: Final = nixpkgs.rstrip("/")
        entries = list(search_path)
        if self.nixpkgs and not any(entry.startswith("nixpkgs=") for entry in entries):
            # Somebody who has no <nixpkgs> still means the one that was found.
            entries.append(f"nixpkgs={self.nixpkgs}")
        self.files: Final = Files()
        self.session: Final = Session(
            self.files, search_path_entries(entries), system, observe=_OBSERVED, tolerant=True
        )
        self.session.trace_output = []
        self.references: Final = References(self.files)
        self._contexts: Final[dict[str, FileContext]] = {}
        self._routes: Final[dict[str, Route | None]] = {}
        self._on_the_way: Final[set[str]] = set()
        self._packages: Attrs | None = None
        self._no_packages = ""

    # --- documents -----------------------------------------------------------------------------

    def document(self, path: str, text: str | None) -> None:
        """A document was opened, changed or (None) closed."""
        before = self.files.parsed(path)
        if text is None:
            self.files.close_document(path)
        else:
            self.files.open_document(path, text)
        if before is not None and text is not None and before.file.text == text:
            return
        self._contexts.pop(path, None)
        if not self._in_nixpkgs(path):
            self._forget_dependents(path)

    def _in_nixpkgs(self, path: str) -> bool:
        return bool(self.nixpkgs) and path.startswith(self.nixpkgs + "/")

    def _forget_dependents(self, path: str) -> None:
        """Drops the values of the file and of all workspace files that name it, directly or not."""
        session = self.session
        stale = {path}
        grown = True
        known = [name for name in session.imported if not self._in_nixpkgs(name)]
        while grown:
            grown = False
            for name in known:
                if name not in stale and stale & self.references.of(name).keys():
                    stale.add(name)
                    grown = True
        for name in known:
            if name in stale or os.path.join(name, "default.nix") in stale:
                session.imported.pop(name, None)
        for name in list(self._contexts):
            if name in stale or stale & self.references.of(name).keys():
                self._contexts.pop(name, None)
        for name in list(self._routes):
            if not self._in_nixpkgs(name):
                self._routes.pop(name, None)

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

    # --- contexts ------------------------------------------------------------------------------

    def context(self, path: str) -> FileContext:
        """The file's current text with its arguments. Raises EvalError when it cannot be read."""
        parsed = self.files.parse(path)
        known = self._contexts.get(path)
        if known is not None and known.parsed is parsed:
            return known
        route = self._route(path, parsed)
        context = FileContext(
            self.session,
            parsed,
            "" if route is None else route.text,
            [] if route is None else route.given,
            self.packages() if route is not None and route.given else None,
        )
        self._contexts[path] = context
        self._observe(context)
        return context

    def _observe(self, context: FileContext) -> None:
        """Runs the file as far as to the form of its value, so that its functions are seen to be called."""
        try:
            routes.automatic(self.session, context)
        except EvalError:
            return

    def _route(self, path: str, parsed: ParsedFile) -> Route | None:
        if path in self._routes:
            return self._routes[path]
        route = self._find_route(path, parsed)
        if path not in self._on_the_way:
            self._routes[path] = route
        return route

    def _find_route(self, path: str, parsed: ParsedFile) -> Route | None:
        found = routes.outer_lambda(parsed.source.root)
        if found is None:
            return Route("evaluated by itself", [])
        if path in self._on_the_way:
            return None
        self._on_the_way.add(path)
        try:
            name = routes.by_name(path, self.nixpkgs)
            if name:
                route = self._through_attribute(path, name)
                if route is not None:
                    return route
            if routes.runs_alone(parsed.source.root):
                return Route("evaluated with its defaults", [])
            route = self._through_references(path)
            if route is not None:
                return route
        finally:
            self._on_the_way.discard(path)
        return routes.by_shape(found[0], self.packages())

    def _through_attribute(self, path: str, name: str) -> Route | None:
        packages = self.packages()
        if packages is None or name not in packages.items:
            return None
        with suppress(EvalError):  # an unsupported package: its function was called all the same
            packages.get(name)
        given = self._observed(path)
        return None if given is None else Route(f"pkgs.{name}", given)

    def _observed(self, path: str) -> list[object] | None:
        """The arguments that the file's functions were seen to get, whatever version of its text it was."""
        parsed = self._imported_version(path)
        if parsed is None:
            return None
        found = routes.outer_lambda(parsed.source.root)
        if found is None:
            return None
        functions = routes.curried(found[0])
        for depth in range(len(functions), 0, -1):
            calls = self.session.observations.calls(parsed.file, functions[depth - 1].start)
            if calls:
                return routes.given_of(calls, depth)
        return None

    def _imported_version(self, path: str) -> ParsedFile | None:
        return self.session.versions.get(path)

    # --- references ----------------------------------------------------------------------------

    def _through_references(self, path: str) -> Route | None:
        for referrer in self._referrers(path):
            if referrer in self._on_the_way or len(self._on_the_way) > routes._DEEPEST:
                continue
            for start, end in self.references.of(referrer).get(path, []):
                route = self._through(referrer, start, end, path)
                if route is not None:
                    return route
        return None

    def _through(self, referrer: str, start: int, end: int, path: str) -> Route | None:
        """Evaluates the call around a path literal of another file, and sees whether that called our file."""
        try:
            context = self.context(referrer)
        except EvalError:
            return None
        given = self._observed(path)
        if given is None:
            chain = chain_to(context.parsed.source.root, start, end)
            if not chain:
                return None
            around = routes.call_around(chain)
            node = around[-1].node
            if not isinstance(node, tree.Expr):
                return None
            with suppress(EvalError):
                context.evaluate(node, around[-1].base, context.site(around))
            given = self._observed(path)
        if given is None:
            return None
        line, _ = context.parsed.file.line_column(start)
        return Route(f"called in {self._short(referrer)}:{line}", given)

    def _short(self, path: str) -> str:
        for root in (*self.roots, self.nixpkgs):
            if root and path.startswith(root + "/"):
                return path[len(root) + 1 :]
        return path

    def _referrers(self, path: str) -> Iterator[str]:
        """Files that name ``path``, likely ones first; found by the text of their path literals."""
        seen: set[str] = set()
        for candidate in self._candidates(path):
            if candidate != path and candidate not in seen:
                seen.add(candidate)
                if path in self.references.of(candidate):
                    yield candidate

    def _candidates(self, path: str) -> Iterator[str]:
        if self._in_nixpkgs(path):
            top = f"{self.nixpkgs}/pkgs/top-level"
            for name in ("all-packages", "python-packages", "stage", "default", "perl-packages", "linux-kernels"):
                yield f"{top}/{name}.nix"
            yield f"{self.nixpkgs}/lib/default.nix"
        folder = os.path.dirname(path)
        for _ in range(_NEAREST_FOLDERS):
            for entry in routes.ENTRIES:
                yield f"{folder}/{entry}"
            if self.files.is_directory(folder):
                for name in sorted(self.files.list_directory(folder)):
                    if name.endswith(".nix"):
                        yield f"{folder}/{name}"
            if folder in self.roots or folder in ("/", self.nixpkgs):
                break
            folder = os.path.dirname(folder)
        if not self._in_nixpkgs(path):
            yield from self._workspace_files()

    def _workspace_files(self) -> Iterator[str]:
        count = 0
        for root in self.roots:
            if self._in_nixpkgs(root) or root == self.nixpkgs:
                continue
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
                for name in sorted(names):
                    if name.endswith(".nix"):
                        count += 1
                        if count > routes._MOST_FILES:
                            return
                        yield f"{folder}/{name}"

    # --- answers -------------------------------------------------------------------------------

    def value(self, target: Target) -> tuple[Value, str]:
        """The value of a target and the route that its file was reached by. Raises EvalError."""
        context = self.context(canonical(target.path))
        chain = chain_to(context.parsed.source.root, target.start, target.end)
        if not chain:
            raise HoleForced("nothing here has a value", Place(context.parsed.file, target.start, target.end))
        found = context.value_at(chain)
        for name in target.attrs:
            found = select(found.value, name, Place(context.parsed.file, target.start, target.end))
        return found, context.route

    def describe(self, target: Target) -> tuple[Facts, str]:
        """Facts about a target's value, and the route. Raises EvalError."""
        found, route = self.value(target)
        return facts(self.session, found.value, found.defined), route

    def members(self, target: Target, limit: int) -> tuple[tuple[Member, ...], str]:
        """The attributes of a target's value (none for what is no set), and the route. Raises EvalError."""
        found, route = self.value(target)
        return self._members(found.value, limit), route

    def _members(self, value: object, limit: int) -> tuple[Member, ...]:
        if not isinstance(value, Attrs):
            return ()
        return tuple(member(self.session, value, name, index < limit) for index, name in enumerate(sorted(value.items)))

    def scope(self, path: str, offset: int) -> tuple[tuple[Member, ...], str]:
        """The names that the ``with`` expressions around an offset bring in, and the route. Raises EvalError."""
        context = self.context(canonical(path))
        names: dict[str, Member] = {}
        for namespace in context.namespaces(offset):
            for found in self._members(namespace, 0):
                names.setdefault(found.name, found)
        return tuple(names.values()), context.route

    def arguments(self, path: str) -> tuple[tuple[Member, ...], str]:
        """The names that a caller could pass to the file's function: those of the package set. Raises EvalError."""
        packages = self.packages()
        if packages is None:
            raise EvalError(self.why_no_packages())
        return self._members(packages, 0), "arguments by name from nixpkgs"
