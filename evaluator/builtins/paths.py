"""Paths, files, and what gets a store path by being copied. Nothing is written: the paths are computed."""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.table import Builtin
from evaluator.code.coerce import (
    as_attrs,
    as_bool,
    as_function,
    as_string,
    as_string_no_context,
    canonical,
    coerce,
    coerce_to_path,
    context_of,
    make_string,
)
from evaluator.code.functions import call2
from evaluator.io.files import Copy, Forbidden, unreadable
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import Attrs, ContextString, PathValue, force
from evaluator.session import Session
from store import hashes, store_path


def readable(session: Session, value: object) -> str:
    """The path of something to be read now, given as a path or string."""
    return coerce_to_path(session, value)


def base_name_of(session: Session, value: object) -> object:
    found = coerce(session, value, False, False, "while evaluating the first argument passed to builtins.baseNameOf")
    text = as_string(found)
    # One trailing slash is overlooked, not more.
    if len(text) > 1 and text.endswith("/"):
        text = text[:-1]
    text = text[text.rfind("/") + 1 :] if text != "/" else ""
    return make_string(text, context_of(found))


def dir_of(session: Session, value: object) -> object:
    value = force(value)
    if isinstance(value, PathValue):
        return PathValue(value.path[: value.path.rfind("/")] or "/")
    found = coerce(session, value, False, False, "while evaluating the first argument passed to 'builtins.dirOf'")
    text = as_string(found)
    at = text.rfind("/")
    if at < 0:
        text = "."
    elif at == 0:
        text = "/"
    else:
        text = text[:at]
    return make_string(text, context_of(found))


def path_exists(session: Session, value: object) -> object:
    value = force(value)
    must_be_directory = False
    if isinstance(value, str) or isinstance(value, ContextString):
        text = as_string(value)
        must_be_directory = text.endswith("/") or text.endswith("/.")
    path = readable(session, value)
    files = session.files
    try:
        return files.is_directory(path) if must_be_directory else files.exists(path)
    except Forbidden:
        if not files.restricted:
            raise
        return False  # an error would tell whether it is there


def read_file(session: Session, value: object) -> object:
    path = readable(session, value)
    text = session.files.read_text(path)
    if "\0" in text:
        raise EvalError(f"the contents of the file '{path}' cannot be represented as a Nix string")
    return text


def read_dir(session: Session, value: object) -> object:
    path = readable(session, value)
    items: dict[str, object] = {}
    items.update(session.files.list_directory(path))
    return Attrs(items, None)


def read_file_type(session: Session, value: object) -> object:
    path = readable(session, value)
    kind = session.files.kind(path)
    if not kind:
        raise EvalError(f"path '{path}' does not exist")
    return kind


def to_path(session: Session, value: object) -> object:
    found = _absolute(session, value, "while evaluating the first argument passed to builtins.toPath")
    return make_string(canonical(as_string(found)), context_of(found))


def _absolute(session: Session, value: object, doing: str) -> object:
    """A string that starts with a slash, with its context."""
    found = coerce(session, value, False, False, doing)
    text = as_string(found)
    if not text.startswith("/"):
        fault = EvalError(f"string '{text}' doesn't represent an absolute path")
        fault.note(doing, None)
        raise fault
    return found


def path_in_store(session: Session, value: object) -> object:
    """``storePath``."""
    found = _absolute(session, value, "while evaluating the first argument passed to 'builtins.storePath'")
    path = canonical(as_string(found))
    if not store_path.is_store_path(path):
        path = session.files.resolved(path)
    try:
        whole, _ = store_path.split(path)
    except ValueError as error:
        raise EvalError(str(error)) from None
    session.ensure(whole)
    return ContextString(path, context_of(found) | {whole})


@final
class _Keep:
    """A filter function of the language as the archive's writer asks it.

    ``disk`` is where the tree stands, ``shown`` its path as the function gets to see it.
    """

    def __init__(self, function: object, disk: str, shown: str, copy: Copy | None) -> None:
        self.function: Final = function
        self.disk: Final = disk
        self.shown: Final = shown
        self.left_out: Final[set[str]] = set()
        self.before: Final[set[str]] = set() if copy is None else copy.left_out

    def asked(self, path: str, kind: str) -> bool:
        if path in self.before or not as_bool(
            call2(self.function, self.shown + path[len(self.disk) :], kind),
            "while evaluating the return value of the path filter function",
        ):
            self.left_out.add(path)
            return False
        return True


def _adding(error: EvalError, path: str) -> EvalError:
    error.note(f"while adding path '{path}'", None)
    return error


def added(session: Session, path: str, name: str, function: object, recursive: bool, expected: str | None) -> object:
    """The string with the store path of what is at ``path``, filtered by ``function`` if that is not None.

    ``expected`` spells its SHA-256, for a check. Raises EvalError.
    """
    files = session.files
    left_out: set[str] = set()
    try:
        disk = files.resolved(path)
        wanted = None if expected is None else hashes.parse_allow_empty(expected, "sha256")
        if not recursive:
            found = hashes.hash_bytes("sha256", files.read_bytes(path))
            stored = store_path.fixed_output_path(name, False, found)
        elif function is None:
            stored = session.store_path_of(disk, name)
        else:
            shown = path if disk == files.origin(path) else disk
            keep = _Keep(function, disk, shown, files.copy(path))
            stored = store_path.source_path(name, files.sieved_sha256(disk, keep.asked).hex())
            left_out = keep.left_out
        if wanted is not None and stored != store_path.fixed_output_path(name, recursive, wanted):
            raise EvalError(f"store path mismatch in (possibly filtered) path added from '{path}'")
    except OSError as error:
        raise _adding(unreadable(error, path), path) from None
    except ValueError as error:
        raise _adding(EvalError(str(error)), path) from None
    except EvalError as error:
        raise _adding(error, path) from None
    files.add_copy(stored, disk, left_out, not recursive)
    return ContextString(stored, frozenset([stored]))


def _name_of(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def add_path(session: Session, value: object) -> object:
    """``path``."""
    attrs = as_attrs(value, "while evaluating the argument passed to 'builtins.path'")
    path = ""
    name = ""
    keep: object = None
    recursive = True
    expected: str | None = None
    for key in sorted(attrs.items):
        try:
            found = attrs.get(key)
            if key == "path":
                path = coerce_to_path(session, found, "while evaluating the 'path' attribute passed to 'builtins.path'")
            elif key == "name":
                name = as_string_no_context(found, "while evaluating the `name` attribute passed to builtins.path")
            elif key == "filter":
                keep = as_function(found, "while evaluating the `filter` parameter passed to builtins.path")
            elif key == "recursive":
                recursive = as_bool(found, "while evaluating the `recursive` attribute passed to builtins.path")
            elif key == "sha256":
                expected = as_string_no_context(
                    found, "while evaluating the `sha256` attribute passed to builtins.path"
                )
            else:
                raise EvalError(f"unsupported argument '{key}' to 'builtins.path'")
        except EvalError as error:
            place = attrs.place_of(key)
            if place is not None:
                if len(error.frames) <= 1:
                    error.pin(place)
                error.locate(place)
            raise
    if not path:
        raise EvalError("missing required 'path' attribute in the first argument to 'builtins.path'")
    return added(session, path, name or _name_of(path), keep, recursive, expected)


def filter_source(session: Session, function: object, value: object) -> object:
    path = coerce_to_path(
        session, value, "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'"
    )
    keep = as_function(function, "while evaluating the first argument passed to builtins.filterSource")
    return added(session, path, _name_of(path), keep, True, None)


def to_file(session: Session, name: object, value: object) -> object:
    title = as_string_no_context(name, "while evaluating the first argument passed to builtins.toFile")
    text = as_string(value, "while evaluating the second argument passed to builtins.toFile")
    value = force(value)
    references: list[str] = []
    for element in sorted(context_of(value)):
        if element.startswith("!") or element.startswith("="):
            drv = element[1:] if element.startswith("=") else element[element.index("!", 1) + 1 :]
            raise EvalError(
                f"files created by 'builtins.toFile' may not reference derivations, but {title} references {drv}"
            )
        references.append(element)
    content = text.encode("utf-8", "surrogateescape")
    try:
        stored = store_path.text_path(title, content, references)
    except ValueError as error:
        raise EvalError(str(error)) from None
    session.files.add_text(stored, content)
    if references:
        session.references[stored] = references
    return ContextString(stored, frozenset([stored]))


TABLE: Final[list[Builtin]] = [
    Builtin(
        "baseNameOf",
        1,
        True,
        base_name_of,
        "baseNameOf *x*\n\nThe last component of a path or string: what follows its last slash.",
    ),
    Builtin(
        "dirOf",
        1,
        True,
        dir_of,
        "dirOf *x*\n\nThe directory part of a path or string: what comes before its last slash.",
    ),
    Builtin(
        "pathExists",
        1,
        True,
        path_exists,
        "pathExists *path*\n\nWhether there is something at *path*; a directory, if it ends in a slash.",
    ),
    Builtin("readFile", 1, True, read_file, "readFile *path*\n\nThe contents of a file as a string."),
    Builtin(
        "readDir",
        1,
        True,
        read_dir,
        'readDir *path*\n\nThe entries of a directory: `{ NAME = KIND; … }`, KIND being `"regular"`, `"directory"`, '
        '`"symlink"` or `"unknown"`.',
    ),
    Builtin(
        "readFileType",
        1,
        True,
        read_file_type,
        'readFileType *path*\n\nWhat is at *path*: `"regular"`, `"directory"`, `"symlink"` or `"unknown"`.',
    ),
    Builtin(
        "toPath", 1, True, to_path, "toPath *s*\n\nDeprecated: an absolute path as a string. Use `/. + s` for a path."
    ),
    Builtin(
        "storePath",
        1,
        True,
        path_in_store,
        "storePath *path*\n\nA path in the store as a string that refers to it (no copy is made of it).",
    ),
    Builtin(
        "path",
        1,
        True,
        add_path,
        "path { path, name, filter, recursive, sha256 }\n\nThe store path that *path* is copied to: under another "
        "*name*, with only the entries for which *filter* (absolute path, type) answers true.",
    ),
    Builtin(
        "filterSource",
        2,
        True,
        filter_source,
        "filterSource *f* *path*\n\nThe store path of a copy of *path* that has only the entries for which "
        "*f* (absolute path, type) answers true.",
    ),
    Builtin(
        "toFile",
        2,
        True,
        to_file,
        "toFile *name* *s*\n\nThe store path of a file with the contents *s*.",
    ),
]
