"""narinfo: what a binary cache says about a store path.

Specification: the Nix manual, "Serving a Nix store via HTTP" and the files that ``nix copy --to file://…`` writes:
lines ``Key: value``. What is signed is the *fingerprint* ``1;PATH;sha256:NIX32;SIZE;REF,REF`` with whole, sorted paths.
"""

from __future__ import annotations

from store import hashes
from store.hashes import Hash
from store.records import dataclass, field
from store.store_path import STORE_DIR, BadStorePath, base_name, check_base_name, check_store_path

#: What a narinfo of a cache may weigh at most before it is refused unread.
MAX_SIZE = 1 << 20
_SINGLE = frozenset("StorePath URL Compression FileHash FileSize NarHash NarSize References Deriver System CA".split())


class NarInfoError(ValueError):
    """A text that is not a narinfo, with the reason."""


@dataclass
class NarInfo:
    """One object in a binary cache. ``references`` and ``deriver`` are whole paths."""

    store_path: str
    url: str
    nar_hash: Hash
    nar_size: int
    compression: str = "none"
    file_hash: Hash | None = None
    file_size: int | None = None
    references: list[str] = field(default_factory=list)
    deriver: str | None = None
    system: str | None = None
    signatures: list[str] = field(default_factory=list)
    ca: str | None = None

    def fingerprint(self) -> str:
        """What its signatures sign."""
        return fingerprint(self.store_path, self.nar_hash, self.nar_size, self.references)

    def to_text(self) -> str:
        """The file's text, as Nix writes it."""
        lines = [f"StorePath: {self.store_path}", f"URL: {self.url}", f"Compression: {self.compression}"]
        if self.file_hash is not None:
            lines.append(f"FileHash: {self.file_hash.format('nix32', with_algo=True)}")
        if self.file_size is not None:
            lines.append(f"FileSize: {self.file_size}")
        lines.append(f"NarHash: {self.nar_hash.format('nix32', with_algo=True)}")
        lines.append(f"NarSize: {self.nar_size}")
        lines.append("References: " + " ".join(base_name(path) for path in sorted(self.references)))
        if self.deriver is not None:
            lines.append(f"Deriver: {base_name(self.deriver)}")
        if self.system is not None:
            lines.append(f"System: {self.system}")
        lines += [f"Sig: {signature}" for signature in self.signatures]
        if self.ca is not None:
            lines.append(f"CA: {self.ca}")
        return "\n".join(lines) + "\n"


def fingerprint(store_path: str, nar_hash: Hash, nar_size: int, references: list[str]) -> str:
    """What is signed of an object; paths are whole."""
    if nar_hash.algo != "sha256":
        raise NarInfoError(f"only SHA-256 of an archive can be signed, not {nar_hash.algo}")
    refs = ",".join(sorted(set(references)))
    return f"1;{store_path};sha256:{nar_hash.nix32()};{nar_size};{refs}"


def parse(data: bytes, store_dir: str = STORE_DIR) -> NarInfo:
    """The narinfo that a file holds.

    Raises :class:`NarInfoError` for lines without a key, keys that stand twice (but ``Sig``), paths that are not in
    ``store_dir``, bad hashes and sizes, and for what is missing. Unknown keys are passed over.
    """
    if len(data) > MAX_SIZE:
        raise NarInfoError(f"narinfo of {len(data)} bytes is larger than {MAX_SIZE}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NarInfoError("narinfo is not UTF-8") from None
    values: dict[str, str] = {}
    signatures: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise NarInfoError(f"line {number} of narinfo has no ':'")
        value = value.strip()
        if key == "Sig":
            signatures.append(value)
        elif key in _SINGLE:
            if key in values:
                raise NarInfoError(f"line {number} of narinfo: '{key}' stands twice")
            values[key] = value
    for key in ("StorePath", "URL", "NarHash", "NarSize"):
        if not values.get(key):
            raise NarInfoError(f"narinfo has no '{key}'")
    try:
        check_store_path(values["StorePath"], store_dir)
        references = [_in_store(name, store_dir) for name in values.get("References", "").split()]
        deriver = values.get("Deriver", "unknown-deriver")
        nar_hash = hashes.parse(values["NarHash"])
        if nar_hash.algo != "sha256":
            raise NarInfoError(f"narinfo has a NarHash that is not SHA-256: '{values['NarHash']}'")
        return NarInfo(
            store_path=values["StorePath"],
            url=values["URL"],
            nar_hash=nar_hash,
            nar_size=_size(values["NarSize"], "NarSize"),
            compression=values.get("Compression") or "bzip2",
            file_hash=hashes.parse(values["FileHash"]) if values.get("FileHash") else None,
            file_size=_size(values["FileSize"], "FileSize") if values.get("FileSize") else None,
            references=references,
            deriver=None if deriver in ("", "unknown-deriver") else _in_store(deriver, store_dir),
            system=values.get("System") or None,
            signatures=signatures,
            ca=values.get("CA") or None,
        )
    except (BadStorePath, hashes.HashError) as error:
        raise NarInfoError(f"narinfo: {error}") from None


def _in_store(name: str, store_dir: str) -> str:
    check_base_name(name)
    return f"{store_dir}/{name}"


def _size(text: str, key: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NarInfoError(f"narinfo has a bad '{key}': '{text}'")
    return int(text)
