"""One evaluation session: builtins, imported files, store paths computed, calls observed.

Sessions are independent of each other; several may share one :class:`Files` (and so its trees).
"""

from __future__ import annotations

import os
from typing import Final, Protocol, final

from evaluator.code.coerce import canonical
from evaluator.code.nesting import Nested
from evaluator.corepkgs import FOLDER
from evaluator.fetching import Tree
from evaluator.io.files import Files, ParsedFile, syntax_fault, unreadable
from evaluator.io.store import Fetch, Recipes, StoreAccess
from evaluator.lowering.lower import Lowering, LoweringHost
from evaluator.lowering.scope import Scope
from evaluator.lowering.undefined import undefined_name
from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.runtime.observations import CallLog, Observations
from evaluator.runtime.source import SourceFile
from evaluator.runtime.values import COUNTERS, EMPTY_ATTRS, Attrs, Code, Env, Thunk
from store.derivation import Derivation, DerivationHashes
from store.store_path import DRV_EXTENSION, STORE_DIR, downstream_placeholder, source_path

NIX_VERSION: Final = "2.31.0"
"""What ``builtins.nixVersion`` says: the Nix whose language this is."""

LANGUAGE_VERSION: Final = 6


def host_system() -> str:
    """The system that this machine builds for, as Nix names it: ``x86_64-linux``."""
    if hasattr(os, "uname"):
        system = os.uname()
        kernel, machine = system.sysname.lower(), system.machine.lower()
    else:
        import platform

        kernel, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "i586": "i686"}.get(machine, machine)
    return f"{machine}-{kernel}"


def base_env() -> Env:
    """The environment of a file's outermost expression (builtins are constants, so it is empty)."""
    env: Env = [None]
    return env


class Fetching(Protocol):
    """Fetches for sessions, as far as their user allows it. Everything raises EvalError.

    :class:`evaluator.flakes.fetcher.Fetcher` does it.
    """

    def tree(self, session: Session, items: dict[str, object]) -> Tree:
        """What an input gives: its attributes are those of a flake reference, ``type`` among them, and ``name``."""

    def download(self, session: Session, url: str, name: str, unpack: bool, expected: str) -> str:
        """The store path of a file or, unpacked, of an archive; ``expected`` is its hash in SRI, or empty."""

    def substitute(self, session: Session, url: str, path: str) -> None:
        """Brings a store path and all it refers to from the store with this URL."""

    def located(self, session: Session, entry: str) -> str:
        """Where what a search path entry names can be read: an address is fetched. Empty if that cannot be."""

    def declare(self, session: Session, path: str, items: dict[str, object]) -> None:
        """Says that the store path of a pinned input, if somebody reads from it, is made by :meth:`tree`."""


class Flakes:
    """What built-in functions ask of flakes, which are built on them; :mod:`evaluator.opening` says who answers."""

    def fetcher(self, session: Session) -> Fetching:
        """Who fetches for a session that was not told."""
        raise NotImplementedError

    def call(self, session: Session, ref: str) -> object:
        """What ``getFlake`` answers for a reference. Raises EvalError."""
        raise NotImplementedError


@final
class Imports:
    """Imported files: their values (pending or done) by path, and the version of the text that each was."""

    def __init__(self) -> None:
        self.values: Final[dict[str, object]] = {}
        self.versions: Final[dict[str, ParsedFile]] = {}


@final
class Session(LoweringHost):
    """Everything that evaluating needs besides code and environments.

    As made here it knows no built-in functions: :func:`evaluator.opening.open_session` gives it those.
    ``observe``: how many calls of each lambda to remember (0: none). ``shared`` is a folder (the package set's) whose
    files are imported once, as saved on disk; imports and observed calls of all other files go to ``local`` and
    ``local_observations``, which may be exchanged between evaluations.
    """

    def __init__(
        self,
        files: Files,
        search_path: list[tuple[str, str]] | None = None,
        system: str = "",
        observe: int = 0,
        tolerant: bool = False,
        shared: str = "",
    ) -> None:
        super().__init__()
        self.files: Final = files
        self.search_path: Final[list[tuple[str, str]]] = [] if search_path is None else search_path
        self.system: Final = system or host_system()
        self.tolerant: Final = tolerant
        #: Whether somebody may ask later where a value came from: else trees go as soon as they are lowered.
        self.keeps_trees = True
        self.local = Imports()
        self.local_observations = Observations(observe)
        self._shared_prefix: Final = shared + "/"
        self._shared: Final = Imports()
        self._shared_observations: Final = Observations(observe)
        loaded: Final = Recipes()
        self._recipes: Final = loaded
        self.derivations: Final = DerivationHashes(load=loaded.load)
        self.builtins: Attrs = EMPTY_ATTRS
        self.trace_output: list[str] | None = None
        #: What evaluation would have written to the store: derivations by path, and what the files of ``toFile``
        #: refer to (their texts, and where sources were copied from, is known to ``files``).
        self.recipes: Final[dict[str, Derivation]] = loaded.known
        self.references: Final[dict[str, list[str]]] = {}
        #: Declared fetches by the store paths that they make.
        self.fetches: Final[dict[str, Fetch]] = {}
        #: Who fetches; None until somebody asks (:meth:`Flakes.fetcher`).
        self.fetcher: Fetching | None = None
        self.flakes = Flakes()
        self._stored: Final[dict[str, str]] = {}
        #: How many wide forces are under way: evaluations of many things that do not depend on each other.
        self.wide = 0
        #: Whether it is worth looking for more that is missing: not while each thing is made, or fails, alone.
        self.gathers = True
        self._wanted: Final[dict[str, None]] = {}
        #: Whether a value may be read out of what a derivation makes.
        self.allows_builds = True
        #: The settings ``abort-on-warn`` and ``trace-verbose``.
        self.aborts_on_warn = False
        self.traces_verbosely = False
        self._is_configured = False

    # --- files ---------------------------------------------------------------------------------

    def log_for(self, file: SourceFile, start: int) -> CallLog | None:
        """Where calls of the lambda at ``start`` are noted; None if they are not."""
        return self._observations_of(file).log(file, start)

    def calls(self, file: SourceFile, start: int) -> list[Env]:
        """The environments in which the body of the lambda at ``start`` was seen to run."""
        return self._observations_of(file).calls(file, start)

    def forget_calls(self, file: SourceFile) -> None:
        """Drops the observed calls of a version of a file that nobody asks for any more."""
        self._observations_of(file).forget(file)

    def _observations_of(self, file: SourceFile) -> Observations:
        return self._shared_observations if self._is_shared(file.path) else self.local_observations

    def _is_shared(self, path: str) -> bool:
        prefix = self._shared_prefix
        return len(prefix) > 1 and (path.startswith(prefix) or path == prefix[:-1])

    def parsed(self, path: str) -> ParsedFile:
        """A file's tree; of a shared file as it is on disk.

        Raises SyntaxFault if it is broken (but not in a tolerant session), EvalError if it is unreadable.
        """
        parsed = self.files.parse_saved(path) if self._is_shared(path) else self.files.parse(path)
        if not self.tolerant:
            fault = syntax_fault(parsed)
            if fault is not None:
                raise fault
        return parsed

    def code_of(self, parsed: ParsedFile, scope: Scope | None = None) -> Code:
        """The code of a file's outermost expression; ``scope`` holds names that are bound outside it."""
        directory = os.path.dirname(parsed.file.path) or "/"
        top = Scope(None, {}) if scope is None else scope
        self.check_names(parsed, top)
        lowering = Lowering(self, parsed.file, directory)
        return lowering.expr(parsed.source.root, 0, top)

    def check_names(self, parsed: ParsedFile, scope: Scope) -> None:
        """Refuses a text that uses a name which nothing binds, unless the session is tolerant.

        Raises UndefinedVariable.
        """
        if self.tolerant:
            return
        undefined = undefined_name(parsed, self.globals)
        if undefined is not None and scope.slots:
            known: dict[str, object] = dict.fromkeys(scope.slots)
            known.update(self.globals)
            undefined = undefined_name(parsed, known)
        if undefined is not None:
            raise undefined

    def import_file(self, path: str) -> object:
        """The forced value of the file at ``path`` (a directory means its ``default.nix``); read once per session."""
        imports = self._shared if self._is_shared(path) else self.local
        value = imports.values.get(path)
        if value is None:
            resolved = self.files.expression_file(path)
            value = imports.values.get(resolved)
            if value is None:
                parsed = self.parsed(resolved)
                if self.keeps_trees:
                    imports.versions[resolved] = parsed
                else:
                    self.files.let_go(resolved)
                value = Thunk(self.code_of(parsed), base_env())
                imports.values[resolved] = value
            imports.values[path] = value
        if isinstance(value, Thunk):
            return value.run()
        return value

    def imported_version(self, path: str) -> ParsedFile | None:
        """The version of a file that was imported, None if it was not."""
        return (self._shared if self._is_shared(path) else self.local).versions.get(path)

    def import_scoped(self, names: Attrs, path: str) -> object:
        """``scopedImport``: like :meth:`import_file` with ``names`` in front of the builtins, and not remembered."""
        resolved = self.files.expression_file(path)
        slots: dict[str, int] = {}
        env = base_env()
        for slot, name in enumerate(names.items, 1):
            slots[name] = slot
            env.append(names.items[name])
        return Nested(self.code_of(self.parsed(resolved), Scope(None, slots))).eval(env)

    def expression(self, text: str, directory: str, name: str = "«string»") -> object:
        """The forced value of an expression given as text; relative paths start at ``directory``."""
        from evaluator.syntax.parser import parse

        parsed = ParsedFile(SourceFile(name, text), parse(text), (0, 0, 0))
        fault = syntax_fault(parsed)
        if fault is not None:
            raise fault
        top = Scope(None, {})
        self.check_names(parsed, top)
        lowering = Lowering(self, parsed.file, directory)
        return lowering.expr(parsed.source.root, 0, top).eval(base_env())

    def home(self) -> str:
        """The user's home directory, for ``~/`` paths."""
        return self.files.home()

    def find_file(self, name: str) -> str:
        """The path that ``<name>`` means. Raises EvalError (catchable, as in Nix) when the search path lacks it."""
        for prefix, root in self.search_path:
            if prefix and name != prefix and not name.startswith(prefix + "/"):
                continue
            if ":" in root and self.fetcher is not None:
                root = self.fetcher.located(self, root)
                if not root:
                    continue
            if not prefix:
                candidate = f"{root}/{name}"
            else:
                candidate = root + name[len(prefix) :]
            candidate = canonical(os.path.abspath(candidate))
            if self.files.exists(candidate) or self.files.is_directory(candidate):
                return candidate
        return self.own_file(name)

    def own_file(self, name: str) -> str:
        """The file that ``<nix/…>`` means when the search path lacks it: those come with the evaluator."""
        if name.startswith("nix/"):
            candidate = FOLDER + name[3:]
            if self.files.exists(candidate):
                return candidate
        raise NotOnSearchPath(f"file '{name}' was not found in the Nix search path (add it using $NIX_PATH or -I)")

    # --- the store -----------------------------------------------------------------------------

    def store_path_of(self, path: str, name: str = "") -> str:
        """The store path that a file or folder gets when it is copied to the store; nothing is written.

        ``name`` is that of the store object, by default the path's last component. Raises EvalError.
        """
        key = path if not name else f"{name}:{path}"
        stored = self._stored.get(key)
        if stored is None:
            if not name and path.endswith(DRV_EXTENSION):
                raise EvalError(f"file names are not allowed to end in '{DRV_EXTENSION}'")
            try:
                stored = source_path(name or path.rsplit("/", 1)[1], self.files.nar_sha256(path).hex())
            except OSError as error:
                raise unreadable(error, path) from None
            except ValueError as error:
                raise EvalError(str(error)) from None
            self._stored[key] = stored
            self.files.add_copy(stored, self.files.origin(path), set())
        return stored

    def forget_files(self) -> None:
        """Files may have other contents than when they were copied: those that no package set is made of."""
        for key in list(self._stored):
            path = key[key.index("/") :]
            if not self._is_shared(path) and self.files.kind(path) == "regular":
                del self._stored[key]

    def use_store(self, store: StoreAccess) -> None:
        """From now on what evaluation does not make itself is read from this store, and made there."""
        self._recipes.store = store
        self.files.objects = store

    def store(self) -> StoreAccess | None:
        """The store that :meth:`use_store` gave."""
        return self._recipes.store

    def find_recipe(self, drv_path: str) -> Derivation | None:
        """The derivation at ``drv_path``, of this session or the store; None when neither has it."""
        return self._recipes.find(drv_path)

    def recipe_of(self, drv_path: str) -> Derivation:
        """The derivation at ``drv_path``, of this session or the store. Raises EvalError for one not known here."""
        return self._recipes.load(drv_path)

    def references_of(self, store_path: str) -> list[str]:
        """What a store object refers to that is no derivation."""
        known = self.references.get(store_path)
        return self._recipes.references(store_path) if known is None else known

    def ensure(self, store_path: str) -> None:
        """Makes sure that a store object is there, where things are written. Raises EvalError."""
        store = self._recipes.store
        if store is None or store_path in self.recipes:
            return
        if self.files.text(store_path) is None and self.files.copy(store_path) is None:
            store.ensure(store_path)

    def need(self, text: str, context: frozenset[str]) -> str:
        """Makes sure that the store paths of a string with context can be read; answers its text with these in it.

        Raises what :meth:`evaluator.io.store.StoreAccess.realise` raises, :class:`Unrealised` without a store,
        and while something wide is forced: then whoever forces it goes on elsewhere, has all of it made at once
        (:meth:`make_wanted`) and forces again what was left.
        """
        wanted = [element for element in context if not self._is_there(element)]
        if wanted:
            wanted.sort()
            store = self._recipes.store
            if store is None or self.wide:
                for element in wanted:
                    self._wanted[element] = None
                raise Unrealised(wanted[0])
            store.realise(wanted)
            for element in wanted:
                if not self._is_there(element):
                    raise Unrealised(element)
        for element in context:
            if element.startswith("!") and not self._path_in_recipe(element):
                at = element.index("!", 1)
                stand_in = downstream_placeholder(element[at + 1 :], element[1:at])
                text = text.replace(stand_in, self._became(element))
        return text

    def _path_in_recipe(self, element: str) -> str:
        """The path of an output as it stands in its derivation; empty when it follows from what is built."""
        at = element.index("!", 1)
        recipe = self._recipes.find(element[at + 1 :])
        made = None if recipe is None else recipe.outputs.get(element[1:at])
        return "" if made is None else made.path

    def _became(self, element: str) -> str:
        """The path of an output that does not stand in its derivation; empty while nobody knows it."""
        store = self._recipes.store
        at = element.index("!", 1)
        return "" if store is None else store.became(element[at + 1 :], element[1:at])

    def missed(self, first: Unrealised | None, error: EvalError, depth: int) -> Unrealised | None:
        """What to raise at the end of something wide, one part of which has failed; None: ``error``, at once.

        While what has to be made is gathered, the other parts are looked at, too: ``first`` is the error of the first
        part that missed something, if there was one, and is raised where an error of another kind would come next:
        that comes again when all before it has been made. ``depth`` is that of the evaluation before the part.
        """
        if self.wide and isinstance(error, Unrealised):
            COUNTERS.depth = depth
            return first or error
        if first is not None:
            raise first
        return None

    def make_wanted(self) -> bool:
        """Has all made that was missed while something wide was forced, which is over; false when not all could be.

        Then each of the rest is made, or fails, where it is needed.
        """
        wanted = list(self._wanted)
        self._wanted.clear()
        store = self._recipes.store
        if store is None or not wanted:
            return False
        try:
            store.realise(wanted)
        except EvalError:
            return False
        for element in wanted:
            if not self._is_there(element):
                return False
        return True

    def _may_build(self) -> bool:
        """:attr:`allows_builds`, and that Nix's configuration files say so, which are read when it first matters."""
        store = self._recipes.store
        if self.allows_builds and not self._is_configured and store is not None:
            self.allows_builds = store.allows_builds()
            self._is_configured = True
        return self.allows_builds

    def _is_there(self, element: str) -> bool:
        """Whether what an element of a string context names can be read."""
        path = element
        if element.startswith("!"):
            if not self._may_build():
                return False
            path = self._path_in_recipe(element) or self._became(element)
            return path != "" and self.files.is_valid(path)
        if element.startswith("="):
            path = element[1:]
        recipe = self.recipes.get(path)
        if recipe is not None:
            self.files.add_text(path, recipe.to_bytes())
            return True
        return self.files.is_valid(path)

    def close(self) -> None:
        """Breaks the cycles between session, builtins and code, so that memory goes back at once."""
        self._shared_observations.clear()
        self.local_observations.clear()
        self._shared.values.clear()
        self.local.values.clear()
        self.globals.clear()


class NotOnSearchPath(EvalError):
    """``<name>`` names nothing; ``tryEval`` catches it, as in Nix."""

    def is_catchable(self) -> bool:
        return True


def search_path_entries(entries: list[str]) -> list[tuple[str, str]]:
    """``NAME=PATH`` and ``PATH`` entries (of ``-I`` or NIX_PATH) as pairs; the name may be empty."""
    pairs: list[tuple[str, str]] = []
    for entry in entries:
        if not entry:
            continue
        name, equals, path = entry.partition("=")
        pairs.append((name, path) if equals else ("", entry))
    return pairs


def is_store_path(path: str) -> bool:
    """Whether a path lies in the Nix store."""
    return path.startswith(STORE_DIR + "/")
