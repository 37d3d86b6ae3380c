"""Reading files and directories, with the texts of unsaved documents laid over the disk."""

from __future__ import annotations

import os
import stat
from typing import Final, Protocol, final

from evaluator.corepkgs import FOLDER
from evaluator.io.observation import (
    CONTENT,
    DIRECTORY,
    ENVIRON,
    EXISTS,
    FILE,
    KIND,
    LINK,
    NAMES,
    REAL,
    SIEVED,
    SOURCE,
    TREE,
    Sieve,
    content_value,
    environ_value,
    names_value,
    scan,
)
from evaluator.io.reads import Reads
from evaluator.runtime.errors import EvalError, SyntaxFault
from evaluator.runtime.source import Place, SourceFile
from evaluator.runtime.values import spend
from evaluator.syntax import tree
from evaluator.syntax.parser import parse
from store.nar import Filter, NarWriter, kind_of_mode, nar_sha256
from store.store_path import STORE_DIR


@final
class ParsedFile:
    """A file's text as the evaluator names it, with its tree."""

    def __init__(self, file: SourceFile, source: tree.Source, stamp: tuple[int, int, int]) -> None:
        self.file: Final = file
        self.source: Final = source
        self.stamp: Final = stamp


_UNSAVED: Final = (-1, -1, -1)
_LARGE: Final = 1 << 24


_STORE: Final = STORE_DIR + "/"
_MOST_LINKS: Final = 64


@final
class Copy:
    """A store object that evaluation would have made out of what is at ``origin`` (an absolute path on disk).

    ``left_out`` holds the paths below ``origin`` that a filter refused. ``flat``: a file addressed by the hash of its
    contents alone.
    """

    def __init__(self, origin: str, left_out: set[str], flat: bool) -> None:
        self.origin: Final = origin
        self.left_out: Final = left_out
        self.flat: Final = flat


class Objects(Protocol):
    """A store whose objects can be read, although they are not where their paths say."""

    def place(self, store_path: str) -> str:
        """Where on disk the contents of a store object are; empty when the store has none of that path."""

    def in_place(self, store_path: str) -> bool:
        """Whether what lies where a store object belongs is that object (:class:`evaluator.io.store.StoreAccess`)."""


@final
class Files:
    """The file system as evaluation sees it. Trees are kept and shared between sessions.

    Store objects that evaluation makes (copied sources, ``toFile``, derivations) need not be written to be read
    here: a path below such an object leads to where it was copied from. What is not on disk is looked for in
    ``objects``, if there are some.

    Whatever comes from the disk or the environment is noted in ``reads``, if there is one: then there must be no
    unsaved documents.
    """

    def __init__(self, reads: Reads | None = None) -> None:
        self.reads: Final = reads
        self.objects: Objects | None = None
        self._parsed: Final[dict[str, ParsedFile]] = {}
        self._saved: Final[dict[str, ParsedFile]] = {}
        self._documents: Final[dict[str, str]] = {}
        self._copies: Final[dict[str, Copy]] = {}
        self._texts: Final[dict[str, bytes]] = {}
        self._in_place: Final[set[str]] = set()
        self._valid: Final[set[str]] = set()
        self._worktrees: Final[dict[str, str]] = {}
        #: In a pure evaluation, and in a restricted one, only the store may be read, and what was admitted.
        self.pure = False
        self.restricted = False
        self._admitted: Final[set[str]] = set()
        self._laid_out: Final[set[str]] = set()

    def add_copy(self, store_path: str, origin: str, left_out: set[str], flat: bool = False) -> None:
        """From now on the store object ``store_path`` reads as what is at ``origin``, but for ``left_out``."""
        if store_path not in self._copies:
            self._copies[store_path] = Copy(origin, left_out, flat)

    def add_text(self, store_path: str, content: bytes) -> None:
        """From now on the store object ``store_path`` is a file with this content."""
        self._texts[store_path] = content

    def copy(self, store_path: str) -> Copy | None:
        """Where a store object was copied from, None if not in this process."""
        return self._copies.get(store_path)

    def text(self, store_path: str) -> bytes | None:
        """The content of a store object that is a text made by evaluation."""
        return self._texts.get(store_path)

    def made(self) -> list[str]:
        """The store objects that can be read although nobody has written them: texts and copies."""
        return [*self._texts, *self._copies]

    def origin(self, path: str) -> str:
        """Where the content of ``path`` stands on disk: itself, unless it lies in a store object copied from elsewhere.

        What a filter left out is at a path where nothing is.
        """
        if not path.startswith(_STORE):
            if self.pure or self.restricted:
                self._expect_admitted(path)
            return path
        end = path.find("/", len(_STORE))
        if end < 0:
            end = len(path)
        copy = self._copies.get(path[:end])
        if copy is None:
            return path if self.objects is None else self._stored(path, end)
        if self._laid_out and path[:end] in self._laid_out:
            return self._through_links(path, end, 0)
        found = copy.origin + path[end:]
        if copy.left_out:
            at = len(found)
            while at > len(copy.origin):
                if found[:at] in copy.left_out:
                    return path
                at = found.rfind("/", 0, at)
        return found

    def _stored(self, path: str, end: int) -> str:
        """:meth:`origin` of what lies in the store object ``path[:end]``, which no evaluation has made."""
        whole = path[:end]
        objects = self.objects
        if objects is None or whole in self._in_place or whole in self._texts:
            return path
        if os.path.lexists(whole):
            self._in_place.add(whole)
            return path
        return self._through_links(path, end, 0) if self._lay_out(whole, objects) else path

    def _lay_out(self, store_path: str, objects: Objects) -> bool:
        """Has a store object read as what a store has of it; false when that has none."""
        place = objects.place(store_path)
        if place:
            self.add_copy(store_path, place, set())
            self._laid_out.add(store_path)
            return True
        if self.reads is not None:
            self.reads.refuse(f"'{store_path}' may come to the store at any time")
        return False

    def is_valid(self, store_path: str) -> bool:
        """Whether a store object is there: one that evaluation made, that Nix has finished, or that a store has.

        What merely lies in its place can be read by its path, but is no store object.
        """
        objects = self.objects
        if store_path in self._laid_out and not os.path.lexists(self._copies[store_path].origin):
            # Collected as garbage meanwhile: it may be laid out again.
            del self._copies[store_path]
            self._laid_out.discard(store_path)
        if objects is None or store_path in self._copies or store_path in self._texts or store_path in self._valid:
            return self.exists(store_path)
        if os.path.lexists(store_path) and objects.in_place(store_path):
            self._valid.add(store_path)
            return self.exists(store_path)
        return self._lay_out(store_path, objects) and self.exists(store_path)

    def _is_laid_out(self, path: str) -> bool:
        """Whether a path lies in an object that a store has, though not in its place."""
        end = path.find("/", len(_STORE))
        return (path if end < 0 else path[:end]) in self._laid_out

    def _through_links(self, path: str, end: int, links: int) -> str:
        """:meth:`origin` of what lies in an object that is not where its path says, and so not where links look for it.

        All links but a last one are followed.
        """
        disk = self._copies[path[:end]].origin
        while end < len(path):
            target = self._link(disk)
            if target:
                leads_to = os.path.normpath(os.path.join(os.path.dirname(path[:end]), target)) + path[end:]
                if links > _MOST_LINKS:
                    return disk + path[end:]
                return self._after_link(leads_to, links)
            following = path.find("/", end + 1)
            if following < 0:
                following = len(path)
            disk += path[end:following]
            end = following
        return disk

    def _after_link(self, path: str, links: int) -> str:
        end = path.find("/", len(_STORE)) if path.startswith(_STORE) else -1
        if end > 0 and path[:end] in self._laid_out:
            return self._through_links(path, end, links + 1)
        return self.origin(path)

    def _link(self, disk: str) -> str:
        """The target of a symbolic link; empty for everything else."""
        try:
            target = os.readlink(disk)
        except OSError:
            return ""
        if self.reads is not None:
            self.reads.note(LINK, disk, target)
        return target

    def _followed(self, path: str) -> str:
        """:meth:`origin`, and if that is a link out of an object that is not where its path says, where that leads."""
        disk = self.origin(path)
        if self._laid_out and path.startswith(_STORE):
            for _ in range(_MOST_LINKS):
                target = self._link(disk)
                if not target:
                    break
                path = os.path.normpath(os.path.join(os.path.dirname(path), target))
                disk = self.origin(path)
        return disk

    def unsaved(self, path: str) -> bytes | None:
        """The content of an open document; None for a file that counts as it is on disk."""
        document = self._documents.get(path)
        return None if document is None else document.encode("utf-8", "surrogateescape")

    def open_document(self, path: str, text: str) -> None:
        """From now on ``path`` has this text, whatever is on disk."""
        if self._documents.get(path) != text:
            self._documents[path] = text
            self._parsed.pop(path, None)

    def close_document(self, path: str) -> None:
        """The disk counts again for ``path``."""
        if self._documents.pop(path, None) is not None:
            self._parsed.pop(path, None)

    def read_bytes(self, path: str) -> bytes:
        """The content of a file. Raises EvalError when it cannot be read."""
        disk = self._followed(path)
        document = self._documents.get(disk)
        if document is not None:
            return document.encode("utf-8", "surrogateescape")
        text = self._texts.get(path)
        if text is not None:
            return text
        return self._disk_bytes(path, disk, CONTENT)

    def _disk_bytes(self, path: str, disk: str, noted: str) -> bytes:
        try:
            # os.read is a third of the price of open(): nixpkgs is thousands of small files.
            descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self.missing(path, said(error, path, f"opening file '{path}'")) from None
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            data = os.read(descriptor, size + 1)
            if len(data) > size or (size == 0 and not data):
                more = [data]
                while chunk := os.read(descriptor, 1 << 20):
                    more.append(chunk)
                data = b"".join(more)
        except OSError as error:
            raise self._failure(f"reading file '{path}': {error.strerror}") from None
        finally:
            os.close(descriptor)
        reads = self.reads
        if reads is not None:
            if stat.S_ISREG(status.st_mode):
                reads.note(noted, disk, content_value(data))
            else:
                reads.refuse(f"'{path}' is no regular file")
        return data

    def read_text(self, path: str) -> str:
        """The content of a file as a Nix string (UTF-8, surrogateescape)."""
        return self.read_bytes(path).decode("utf-8", "surrogateescape")

    def parse(self, path: str) -> ParsedFile:
        """The tree of a file, whatever is wrong with it. Raises EvalError when it cannot be read."""
        known = self._parsed.get(path)
        disk = self.origin(path)
        document = self._documents.get(disk)
        if known is not None:
            if document is None:
                if known.stamp == self._stamp(path):
                    return known
            elif known.stamp is _UNSAVED and (disk is path or known.file.text == document):
                return known
        origin = "" if disk is path or disk == path or self._is_laid_out(path) else disk
        if document is not None:
            parsed = ParsedFile(SourceFile(path, document, origin), parse(document), _UNSAVED)
        else:
            stamp = self._stamp(path)  # before it is read: what is written meanwhile is seen the next time
            text = self._source(path)
            parsed = ParsedFile(SourceFile(path, text, origin), parse(text), stamp)
        self._parsed[path] = parsed
        spend(len(parsed.file.text) >> 5)  # reading a file is no step of evaluation, but takes as long as many
        return parsed

    def _source(self, path: str) -> str:
        """The text of a file that :meth:`expression_file` answered: one that is no symbolic link."""
        if self.reads is None or path in self._texts:
            return self.read_text(path)
        return self._disk_bytes(path, self.origin(path), SOURCE).decode("utf-8", "surrogateescape")

    def parse_saved(self, path: str) -> ParsedFile:
        """The tree of a file as it is on disk, an open document or not; of a document that is on no disk its own."""
        if path not in self._documents or not os.path.exists(path):
            return self.parse(path)
        stamp = self._stamp(path)
        known = self._saved.get(path)
        if known is None or known.stamp != stamp:
            with open(path, "rb") as source:
                text = source.read().decode("utf-8", "surrogateescape")
            known = ParsedFile(SourceFile(path, text), parse(text), stamp)
            self._saved[path] = known
        return known

    def let_go(self, path: str) -> None:
        """Nobody will ask for the file's tree again."""
        self._parsed.pop(path, None)

    def parsed(self, path: str) -> ParsedFile | None:
        """The tree that was last handed out for a path, if any."""
        return self._parsed.get(path)

    def _stamp(self, path: str) -> tuple[int, int, int]:
        try:
            status = os.stat(self.origin(path))
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def kind(self, path: str) -> str:
        """ "regular", "directory", "symlink", "unknown" as readFileType says; "" when nothing is there."""
        disk = self.origin(path)
        if disk in self._documents or path in self._texts:
            return "regular"
        try:
            kind = kind_of_mode(os.lstat(disk).st_mode)
        except OSError:
            kind = ""
        if self.reads is not None:
            self.reads.note(KIND, disk, kind)
        return kind

    def exists(self, path: str) -> bool:
        """Whether something is there (a dangling symbolic link counts, as in Nix)."""
        disk = self.origin(path)
        if disk in self._documents or path in self._texts:
            return True
        found = os.path.lexists(disk)
        if self.reads is not None:
            self.reads.note(EXISTS, disk, "1" if found else "0")
        return found

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there, symbolic links followed."""
        disk = self._followed(path)
        if disk in self._documents:
            return False
        found = os.path.isdir(disk)
        if self.reads is not None:
            self.reads.note(DIRECTORY, disk, "1" if found else "0")
        return found

    def list_directory(self, path: str) -> dict[str, str]:
        """The entries of a directory with their kinds. Raises EvalError when it cannot be read."""
        disk = self._followed(path)
        try:
            entries = scan(disk)
        except OSError as error:
            raise self.missing(path, said(error, path, f"reading directory '{path}'")) from None
        if self.reads is not None:
            self.reads.note(NAMES, disk, names_value(entries))
        for document in self._documents:
            directory, _, name = document.rpartition("/")
            if (directory or "/") == disk and name not in entries:
                entries[name] = "regular"
        end = path.find("/", len(_STORE))
        copy = self._copies.get(path if end < 0 else path[:end])
        if copy is not None and copy.left_out:
            for name in list(entries):
                if self.origin(path + "/" + name).startswith(_STORE):
                    del entries[name]
        return entries

    def resolved(self, path: str) -> str:
        """The path with all symbolic links followed (of a copied store object: its origin)."""
        disk = self._followed(path)
        if disk in self._documents:
            return disk
        found = os.path.realpath(disk)
        if self.reads is not None:
            self.reads.note(REAL, disk, found)
        return found

    def environment(self, name: str) -> str | None:
        """The value of an environment variable, None if it is not set."""
        value = os.environ.get(name)
        if self.reads is not None:
            self.reads.note(ENVIRON, name, environ_value(value))
        return value

    def home(self) -> str:
        """The user's home directory."""
        if not self.environment("HOME") and self.reads is not None:
            self.reads.refuse("the home directory stands in the list of users only")
        return os.path.expanduser("~")

    def nar_sha256(self, path: str) -> bytes:
        """The SHA-256 of the archive of a file or tree. Raises OSError, NarError.

        Inside a tree the disk counts, not unsaved documents: so does every Nix that will build it.
        """
        disk = self.origin(path)
        document = self._documents.get(disk)
        content = self._texts.get(path) if document is None else document.encode("utf-8", "surrogateescape")
        if content is None:
            if self.reads is None:
                return nar_sha256(disk)
            plain = self._plain_file(disk)
            if plain is not None:
                return plain
            try:
                found = nar_sha256(disk)
            except (OSError, ValueError) as error:
                self.reads.refuse(str(error))
                raise
            self.reads.note(TREE, disk, found.hex())
            return found
        return _archived(content, False)

    def _plain_file(self, disk: str) -> bytes | None:
        """What :meth:`nar_sha256` answers for a regular file that is not large, noted; None for all else."""
        try:
            descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= _LARGE:
                return None
            data = os.read(descriptor, status.st_size + 1)
            if len(data) != status.st_size:
                return None
        finally:
            os.close(descriptor)
        executable = status.st_mode & stat.S_IXUSR != 0
        if self.reads is not None:
            self.reads.note(FILE, disk, ("x" if executable else "-") + content_value(data))
        return _archived(data, executable)

    def sieved_sha256(self, disk: str, keep: Filter) -> bytes:
        """The SHA-256 of the archive of the tree at ``disk`` (on disk indeed) without what ``keep`` refuses.

        Raises OSError, NarError, and what ``keep`` raises.
        """
        reads = self.reads
        if reads is None:
            return nar_sha256(disk, keep)
        sieve = Sieve(disk, keep)
        found = nar_sha256(disk, sieve.asked)
        reads.note(SIEVED, f"{disk}//{sieve.answers()}", "//".join([found.hex(), *sieve.left_out]))
        return found

    def expression_file(self, path: str) -> str:
        """The file that ``import path`` reads: symbolic links followed, ``default.nix`` of a directory.

        Raises EvalError, naming the remedy, when there is nothing.
        """
        for _ in range(64):
            disk = self.origin(path)
            if disk in self._documents or path in self._texts:
                return path
            try:
                mode = os.lstat(disk).st_mode
            except OSError as error:
                unsaved = path + "/default.nix"
                if disk + "/default.nix" in self._documents:
                    return unsaved
                raise self.missing(path, said(error, path, f"getting status of '{path}'")) from None
            if stat.S_ISLNK(mode):
                target = os.readlink(disk)
                if self.reads is not None:
                    self.reads.note(LINK, disk, target)
                path = os.path.normpath(os.path.join(os.path.dirname(path), target))
                continue
            if stat.S_ISDIR(mode):
                if self.reads is not None:
                    self.reads.note(KIND, disk, "directory")
                inside = path.rstrip("/") + "/default.nix"
                if not self.exists(inside):
                    raise self._failure(f"there is no default.nix in the directory '{path}'")
                path = inside
                continue
            return path
        raise self._failure(f"too many symbolic links at '{path}'")

    def admit(self, path: str) -> None:
        """A pure or restricted evaluation may read what is at ``path`` and below."""
        self._admitted.add(path)

    def _expect_admitted(self, path: str) -> None:
        if path == STORE_DIR or path.startswith(FOLDER + "/"):
            return
        if not self._is_admitted(path):
            raise self._forbidden("absolute", path)
        # A link may lead out again. (What was admitted may be a link itself.)
        real = os.path.realpath(path)
        if real != path and not real.startswith(_STORE) and not self._is_admitted(real):
            for admitted in self._admitted:
                top = os.path.realpath(admitted)
                if real == top or real.startswith(top + "/"):
                    return
            raise self._forbidden("canonical", real)

    def _is_admitted(self, path: str) -> bool:
        for admitted in self._admitted:
            if path == admitted or path.startswith(admitted + "/"):
                return True
        return False

    def _forbidden(self, kind: str, path: str) -> EvalError:
        mode = "pure eval mode (use '--impure' to override)" if self.pure else "restricted mode"
        message = f"access to {kind} path '{path}' is forbidden in {mode}"
        self._failure(message)
        return Forbidden(message)

    def add_worktree(self, store_path: str, top: str) -> None:
        """The store object ``store_path`` is the working tree ``top`` without the files that Git does not track."""
        self._worktrees[store_path] = top

    def missing(self, path: str, message: str) -> EvalError:
        """What to raise where nothing is to be read: ``message``, or that Git does not track what is at ``path``."""
        end = path.find("/", len(_STORE))
        top = self._worktrees.get(path[:end]) if end > 0 else None
        if top is not None and os.path.lexists(top + path[end:]):
            below = path[end + 1 :]
            message = (
                f"path '{below}' in the repository '{top}' is not tracked by Git; to make it visible here, run: "
                f"git -C '{top}' add '{below}'"
            )
        return self._failure(message)

    def _failure(self, message: str) -> EvalError:
        """An error that nothing was noted for: whoever carries on after it has no answer to be used again."""
        if self.reads is not None:
            self.reads.refuse(message)
        return EvalError(message)


@final
class Forbidden(EvalError):
    """Something that a pure or restricted evaluation may not read."""


def _archived(content: bytes, executable: bool) -> bytes:
    """The SHA-256 of the archive of a file."""
    import hashlib

    hasher = hashlib.sha256()
    writer = NarWriter(hasher.update)
    writer.regular(content, executable)
    writer.finish()
    return hasher.digest()


def unreadable(error: OSError, path: str) -> EvalError:
    """An OSError met while reading ``path`` or what is below it, in Nix's words."""
    named: object = error.filename
    if isinstance(named, bytes):
        path = named.decode("utf-8", "surrogateescape")
    elif isinstance(named, str):
        path = named
    return EvalError(said(error, path, f"reading '{path}'"))


def said(error: OSError, path: str, doing: str) -> str:
    """What Nix says of a file that cannot be used."""
    if isinstance(error, FileNotFoundError):
        return f"path '{path}' does not exist"
    if isinstance(error, NotADirectoryError):
        return f"'{path}' is not a directory"
    return f"{doing}: {error.strerror}"


def syntax_fault(parsed: ParsedFile) -> SyntaxFault | None:
    """The first problem of a file that makes it no Nix at all, as an error."""
    for problem in parsed.source.problems:
        if problem.severity == "error":
            return SyntaxFault(f"syntax error, {problem.message}", Place(parsed.file, problem.start, problem.end))
    return None
