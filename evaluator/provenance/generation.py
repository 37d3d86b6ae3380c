"""One state of the workspace's files, evaluated: who calls which file, and what every place in it means.

An edit does not change a generation. While the next one is being worked out in the background, the last is
what answers come from, marked as stale where that may matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from evaluator.io.files import Files, ParsedFile
from evaluator.provenance import route as routes
from evaluator.provenance.context import FileContext, chain_to
from evaluator.provenance.flake import Flakes, call_flake, is_flake, look_at_outputs
from evaluator.provenance.route import References, Route
from evaluator.runtime.errors import EvalError
from evaluator.runtime.observations import Observations
from evaluator.runtime.values import Attrs
from evaluator.session import Imports, Session
from evaluator.syntax import tree

OBSERVED_CALLS: Final = 2
_NEAREST_FOLDERS: Final = 8
_SKIPPED_FOLDERS: Final = frozenset([".git", "node_modules", "result", ".direnv", "target", "dist", "__pycache__"])


class Surroundings:
    """What all generations of a workspace share."""

    def __init__(self, session: Session, nixpkgs: str, roots: tuple[str, ...], packages: Callable[[], Attrs | None]):
        self.session: Final = session
        self.files: Final[Files] = session.files
        self.nixpkgs: Final = nixpkgs
        self.roots: Final = roots
        self.packages: Final = packages
        self.references: Final = References(session.files)
        self.flakes: Final = Flakes(session)

    def in_nixpkgs(self, path: str) -> bool:
        """Whether a file belongs to the package set, whose values all generations share."""
        return bool(self.nixpkgs) and path.startswith(self.nixpkgs + "/")

    def short(self, path: str) -> str:
        """A path for people: relative to the folder of the workspace or the package set."""
        for root in (*self.roots, self.nixpkgs):
            if root and path.startswith(root + "/"):
                return path[len(root) + 1 :]
        return path


class Generation:
    """Imported files, observed calls, routes and contexts that belong together."""

    def __init__(self, around: Surroundings) -> None:
        self.around: Final = around
        self.session: Final = around.session
        self.files: Final = around.files
        self.imports: Final = Imports()
        self.observations: Final = Observations(OBSERVED_CALLS)
        self._contexts: Final[dict[str, FileContext]] = {}
        self._routes: Final[dict[str, Route | None]] = {}
        self._on_the_way: Final[set[str]] = set()
        self.session.forget_files()

    def activate(self) -> None:
        """Makes evaluation import and observe on behalf of this generation."""
        self.session.local = self.imports
        self.session.local_observations = self.observations

    def context(self, path: str) -> FileContext:
        """The file's current text with its arguments. Raises EvalError when it cannot be read."""
        parsed = self.files.parse(path)
        known = self._contexts.get(path)
        if known is not None:
            if known.parsed is parsed:
                return known
            self.session.forget_calls(known.parsed.file)
        route = self._route(path, parsed)
        context = FileContext(
            self.session,
            parsed,
            "" if route is None else route.text,
            [] if route is None else route.given,
            self.around.packages() if route is not None and route.given else None,
        )
        if is_flake(path, parsed.source.root):
            call_flake(context, self.around.flakes.open(parsed))
        self._contexts[path] = context
        self._observe(context)
        return context

    def _observe(self, context: FileContext) -> None:
        """Runs the file as far as to the form of its value, so that its functions are seen to be called."""
        try:
            value = routes.automatic(self.session, context)
        except EvalError:
            return
        if context.outputs is not None and isinstance(value, Attrs):
            look_at_outputs(self.session, value)

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
            return Route("the flake itself" if is_flake(path, parsed.source.root) else "evaluated by itself", [])
        if path in self._on_the_way:
            return None
        self._on_the_way.add(path)
        try:
            name = routes.by_name(path, self.around.nixpkgs)
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
        return routes.by_shape(found[0], self.around.packages())

    def _through_attribute(self, path: str, name: str) -> Route | None:
        packages = self.around.packages()
        if packages is None or name not in packages.items:
            return None
        with suppress(EvalError):  # an unsupported package: its function was called all the same
            packages.get(name)
        given = self._observed(path)
        return None if given is None else Route(f"pkgs.{name}", given)

    def _observed(self, path: str) -> list[object] | None:
        """The arguments that the file's functions were seen to get, whatever version of its text it was."""
        parsed = self.session.imported_version(path)
        if parsed is None:
            return None
        found = routes.outer_lambda(parsed.source.root)
        if found is None:
            return None
        functions = routes.curried(found[0])
        for depth in range(len(functions), 0, -1):
            calls = self.session.calls(parsed.file, functions[depth - 1].start)
            if calls:
                return routes.given_of(calls, depth)
        return None

    # --- references ----------------------------------------------------------------------------

    def _through_references(self, path: str) -> Route | None:
        for referrer in self._referrers(path):
            if referrer in self._on_the_way or len(self._on_the_way) > routes._DEEPEST:
                continue
            for start, end in self.around.references.of(referrer).get(path, []):
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
                context.provoke(chain)
                given = self._observed(path)
        if given is None:
            return None
        line, _ = context.parsed.file.line_column(start)
        return Route(f"called in {self.around.short(referrer)}:{line}", given)

    def _referrers(self, path: str) -> Iterator[str]:
        """Files that name ``path``, likely ones first; found by the text of their path literals."""
        seen: set[str] = set()
        for candidate in self._candidates(path):
            if candidate != path and candidate not in seen:
                seen.add(candidate)
                if path in self.around.references.of(candidate):
                    yield candidate

    def _candidates(self, path: str) -> Iterator[str]:
        if self.around.in_nixpkgs(path):
            top = f"{self.around.nixpkgs}/pkgs/top-level"
            for name in ("all-packages", "python-packages", "stage", "default", "perl-packages", "linux-kernels"):
                yield f"{top}/{name}.nix"
            yield f"{self.around.nixpkgs}/lib/default.nix"
        folder = os.path.dirname(path)
        for _ in range(_NEAREST_FOLDERS):
            for entry in routes.ENTRIES:
                yield f"{folder}/{entry}"
            if self.files.is_directory(folder):
                for name in sorted(self.files.list_directory(folder)):
                    if name.endswith(".nix"):
                        yield f"{folder}/{name}"
            if folder in self.around.roots or folder in ("/", self.around.nixpkgs):
                break
            folder = os.path.dirname(folder)
        if not self.around.in_nixpkgs(path):
            yield from self._workspace_files()

    def _workspace_files(self) -> Iterator[str]:
        count = 0
        for root in self.around.roots:
            if self.around.in_nixpkgs(root) or root == self.around.nixpkgs:
                continue
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
                for name in sorted(names):
                    if name.endswith(".nix"):
                        count += 1
                        if count > routes._MOST_FILES:
                            return
                        yield f"{folder}/{name}"
