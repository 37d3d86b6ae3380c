"""What the web server of the fetchers' tests shows: files, redirections, encodings, and archives of every shape.

All is the same each time, so that the store paths that come of it can be written down (``cases/http.json``).
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile

from tests.builder.fetch.loopback import Page

_CHANGED = 1_500_000_000

#: An entry of an archive: its name, what it is (None: a folder; ``->X`` a link to X; ``=>X`` another name of X), its
#: mode.
_Entry = tuple[str, bytes | str | None, int]


def _tar(*entries: _Entry, form: str = "w:gz") -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, what, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.mode = _CHANGED, mode
            if isinstance(what, bytes):
                entry.size = len(what)
            elif what is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.type = tarfile.SYMTYPE if what.startswith("->") else tarfile.LNKTYPE
                entry.linkname = what[2:]
            archive.addfile(entry, io.BytesIO(what) if isinstance(what, bytes) else None)
    data = plain.getvalue()
    if form == "w:gz":
        return gzip.compress(data, mtime=0)
    if form == "w:xz":
        return lzma.compress(data)
    return data


def _zip(*entries: tuple[str, bytes, int]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, what, mode in entries:
            entry = zipfile.ZipInfo(name, (2017, 7, 14, 2, 40, 0))
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, what)
    return out.getvalue()


def nar_of_file(contents: bytes) -> bytes:
    """The archive of Nix of a file."""
    words = [b"nix-archive-1", b"(", b"type", b"regular", b"contents", contents, b")"]
    return b"".join(struct.pack("<Q", len(word)) + word + b"\0" * (-len(word) % 8) for word in words)


_TOP: _Entry = ("top", None, 0o755)
_A: _Entry = ("top/a", b"a\n", 0o644)
_FLAKE: _Entry = ("top/flake.nix", b"{ outputs = _: { x = 1; }; }\n", 0o644)


def pages() -> dict[str, Page]:
    """The pages by their paths."""
    encoded = {"Content-Encoding": "gzip"}
    modes = [0o644, 0o755, 0o700, 0o655, 0o611, 0o400, 0o500, 0o011]
    return {
        "/file": Page(b"contents\n"),
        "/file?x=1": Page(b"query\n"),
        "/file?x=1&y=2": Page(b"two\n"),
        "/folder/": Page(b"folder\n"),
        "/a%20b": Page(b"space\n"),
        "/.hidden": Page(b"hidden\n"),
        "/etag": Page(b"contents\n", etag='"one"'),
        "/moved": Page(redirect="/file"),
        "/moved.tar.gz": Page(redirect="/one.tar.gz"),
        "/around": Page(redirect="/around"),
        "/encoded": Page(gzip.compress(b"contents\n", mtime=0), encoded, ranges=False),
        "/encoded.tar.gz": Page(_tar(_TOP, _A), encoded, ranges=False),
        "/short": Page(b"contents\n", said_size=100, ranges=False),
        "/short.tar.gz": Page(_tar(_TOP, _A)[:60]),
        "/one.tar.gz": Page(_tar(_TOP, _A, ("top/sub", None, 0o755), ("top/sub/run", b"x\n", 0o755), _FLAKE)),
        "/one.tar.gz?dir=sub": Page(b"never asked for"),
        "/dotted.tar.gz": Page(_tar((".", None, 0o755), ("./top", None, 0o755), ("./top/a", b"a\n", 0o644))),
        "/many.tar.gz": Page(_tar(("a", b"a\n", 0o644), ("b", None, 0o755), ("b/c", b"c\n", 0o644))),
        "/onefile.tar.gz": Page(_tar(("a", b"a\n", 0o644))),
        "/onelink.tar.gz": Page(_tar(("a", "->/nowhere", 0o777))),
        "/modes.tar.gz": Page(_tar(_TOP, *[(f"top/{mode:o}", b"x", mode) for mode in modes])),
        "/closed.tar.gz": Page(_tar(("t", None, 0o500), ("t/d", None, 0o555), ("t/d/x", b"x", 0o444))),
        "/links.tar.gz": Page(
            _tar(
                _TOP,
                ("top/out", "->../../etc/passwd", 0o777),
                ("top/absolute", "->/etc/passwd", 0o777),
                ("top/gone", "->nowhere", 0o777),
                _A,
                ("top/in", "->a", 0o777),
            )
        ),
        "/hard.tar.gz": Page(_tar(_TOP, ("top/a", b"a\n", 0o755), ("top/b", "=>top/a", 0o755))),
        "/nofolders.tar.gz": Page(_tar(("t/x/a", b"a", 0o644))),
        "/twice.tar.gz": Page(_tar(_TOP, ("top/a", b"1", 0o644), ("top/a", b"22", 0o644))),
        "/up.tar.gz": Page(_tar(_TOP, ("top/../../up", b"1", 0o644))),
        "/absolute.tar.gz": Page(_tar(("/absolute", b"1", 0o644))),
        "/through.tar.gz": Page(_tar(_TOP, ("top/l", "->/tmp", 0o777), ("top/l/x", b"1", 0o644))),
        "/setuid.tar.gz": Page(_tar(_TOP, ("top/s", b"1", 0o4755))),
        "/empty.tar.gz": Page(_tar()),
        "/plain.tar": Page(_tar(_TOP, _A, form="w")),
        "/top.tar.xz": Page(_tar(_TOP, _A, form="w:xz")),
        "/top.zip": Page(
            _zip(("top/a", b"a\n", 0o100644), ("top/run", b"x\n", 0o100755), ("top/link", b"a", 0o120777))
        ),
        "/nosuffix": Page(_tar(_TOP, _A)),
        "/x.nar": Page(nar_of_file(b"hello")),
        "/x.nar.xz": Page(lzma.compress(nar_of_file(b"hello"))),
    }
