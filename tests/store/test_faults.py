"""The store when things go wrong: killed writers, flipped bits, full disks, caches that lie.

`TVIX_KILLS` and `TVIX_FLIPS` say how many; `TVIX_SEED` which.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from store import narinfo
from store.backends.local.castore import LocalCastore
from store.backends.local.check import repair, verify
from store.backends.local.collect import collect
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Full, ReadOnly, Refused, StoreError
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.hashes import Hash, hash_bytes
from store.nar import NarWriter, nar_pieces
from store.paths import closure
from store.paths.archives import PiecesSource
from store.signatures import SecretKey
from store.store_path import digest_of, source_path

MakeTree = Callable[[Any], str]
KILLS = int(os.environ.get("TVIX_KILLS", "200"))
FLIPS = int(os.environ.get("TVIX_FLIPS", "60"))
SEED = int(os.environ.get("TVIX_SEED", "1"))


# ---- killed


def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    program = str(Path(__file__).parent / "killed_writers.py")
    arguments = [str(tmp_path / "store"), str(tmp_path / "trees"), str(KILLS), str(SEED)]
    done = subprocess.run([sys.executable, program, *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    acknowledged = set(done.stdout.decode().split())
    assert len(acknowledged) > KILLS / 4
    with local_store(str(tmp_path / "store")) as store:
        assert isinstance(store.castore, LocalCastore)
        report = verify(store.castore)
        assert report.problems == []
        assert acknowledged <= set(store.paths())
        assert report.paths >= len(acknowledged)
        collect(store.castore, acknowledged)
        assert verify(store.castore).problems == []
        assert set(store.paths()) == acknowledged
        # What the killed had begun is gone: all that is left is in a store that never saw them, too.
        with local_store(str(tmp_path / "fresh")) as fresh:
            assert isinstance(fresh.castore, LocalCastore)
            closure.copy(store, fresh, acknowledged)
            assert _contents(store.castore) == _contents(fresh.castore)
        packs = {path.stem for path in (tmp_path / "store" / "packs").iterdir()}
        assert packs == {name for (name,) in store.castore.db.execute("select name from packs")}


def _contents(store: LocalCastore) -> dict[str, set[bytes]]:
    """The digests of everything that a store's database knows."""
    tables = ("chunks", "blobs", "directories")
    return {table: {digest for (digest,) in store.db.execute(f"select digest from {table}")} for table in tables}


ADDER = """
import sys
from store.composition import local_store
with local_store(sys.argv[1]) as store:
    sys.stdin.readline()
    print(store.add_path(sys.argv[2], "tree").path)
"""


def test_processes_that_add_the_same_agree(tmp_path: Path, make_tree: MakeTree) -> None:
    tree = make_tree({"large": os.urandom(2_000_000).hex(), "b": {"c": "d"}})
    command = [sys.executable, "-c", ADDER, str(tmp_path / "store"), tree]
    pipe = subprocess.PIPE
    adders = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for adder in adders:
        assert adder.stdin is not None
        adder.stdin.write("go\n")
        adder.stdin.flush()
    answers = {adder.communicate()[0].strip() for adder in adders}
    assert [adder.returncode for adder in adders] == [0, 0, 0, 0]
    assert len(answers) == 1
    with local_store(str(tmp_path / "store")) as store:
        assert isinstance(store.castore, LocalCastore)
        assert list(store.paths()) == list(answers)
        assert verify(store.castore).problems == []


# ---- closed


def test_closing_while_others_write(tmp_path: Path) -> None:
    """What other threads are doing goes on and is kept, wherever they are when the store is closed."""
    writers, texts = 3, 4
    for turn in range(2 * writers * texts):
        folder = str(tmp_path / str(turn))
        written: Queue[str] = Queue()
        store = CastoreStore(LocalCastore(folder), uri=f"local:{folder}")

        def write(writer: int, store: CastoreStore = store, written: Queue[str] = written) -> None:
            for number in range(texts):
                written.put(store.add_text(f"{writer}-{number}", os.urandom(3000), []).path)

        with ThreadPoolExecutor(writers) as pool:
            doing = [pool.submit(write, writer) for writer in range(writers)]
            paths = [written.get(timeout=60) for _ in range(turn // 2)]
            store.close()
            for each in doing:
                each.result(60)
        paths += [written.get(timeout=60) for _ in range(writers * texts - len(paths))]
        with local_store(folder) as again:
            assert set(again.paths()) == set(paths)


# ---- flipped bits


@pytest.fixture(scope="module")
def good_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with inline contents, packs, chunked files, references; closed, so that all is in its files."""
    place = tmp_path_factory.mktemp("good")
    tree = place / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "large").write_bytes(random.Random(1).randbytes(2_500_000))
    for number in range(60):
        (tree / "sub" / f"file{number}").write_text(f"text {number}\n" * number)
    (tree / "link").symlink_to("sub/file1")
    with local_store(str(place / "store")) as store:
        first = store.add_path(str(tree))
        texts = [store.add_text(f"text{number}", b"see " + first.path.encode(), [first.path]) for number in range(8)]
        store.add_text("all", b" ".join(text.path.encode() for text in texts), [text.path for text in texts])
    return place / "store"


def contents(store: CastoreStore) -> dict[str, bytes]:
    return {info.path: b"".join(store.nar(info)) for info in map(store.query, store.paths()) if info is not None}


def test_flipped_bits_are_found_and_repaired(good_store: Path, tmp_path: Path) -> None:
    with local_store(str(good_store)) as store:
        expected = contents(store)
    used = [path for path in good_store.rglob("*") if path.is_file() and path.name != "reserve"]
    files = sorted(path for path in used if path.stat().st_size)
    assert any(path.suffix == ".pack" for path in files)
    chance = random.Random(SEED)
    noticed = repaired = 0
    for number in range(FLIPS):
        place = tmp_path / f"flip{number}"
        shutil.copytree(good_store, place)
        chosen = chance.choice(files)
        damaged = place / chosen.relative_to(good_store)
        data = bytearray(damaged.read_bytes())
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
        damaged.write_bytes(data)
        about = f"{damaged.name} at byte {at}"
        try:
            with local_store(str(place)) as store:
                assert isinstance(store.castore, LocalCastore)
                found: dict[str, bytes] = {}
                failed: list[str] = []
                for path in expected:
                    try:
                        info = store.query(path)
                        if info is None:
                            failed.append(f"{place} has lost {path}")
                        else:
                            found[path] = b"".join(store.nar(info))
                    except StoreError as error:
                        failed.append(str(error))
                # Never something wrong instead of what was asked for.
                assert all(data == expected[path] for path, data in found.items()), about
                report = verify(store.castore)
                if failed:
                    noticed += 1
                    assert report.problems, f"{about}: {failed}"
                    assert all(str(place) in problem or "/nix/store/" in problem for problem in report.problems)
                    assert any(str(place) in problem for problem in report.problems), report.problems
                if report.problems and any("malformed" in problem for problem in report.problems):
                    continue
                if report.problems:
                    with local_store(str(good_store)) as other:
                        report.problems = []
                        repair(store.castore, report, other)
                    if not verify(store.castore).problems:
                        repaired += 1
        except StoreError as error:
            assert str(place) in str(error), about  # the database itself: named, and nothing was answered
            noticed += 1
        finally:
            shutil.rmtree(place)
    assert noticed > FLIPS / 4
    assert repaired > FLIPS / 8


def test_every_damaged_pack_is_noticed_and_repaired(good_store: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for number in range(12):
        place = tmp_path / f"pack{number}"
        shutil.copytree(good_store, place)
        pack = chance.choice(sorted((place / "packs").iterdir()))
        data = bytearray(pack.read_bytes())
        if number % 3 == 0:
            data = data[: chance.randrange(len(data))]
        elif number % 3 == 1:
            data[chance.randrange(len(data) - 400) :][:400] = b""
            data = data[: len(data) // 2] + bytes(400) + data[len(data) // 2 + 400 :]
        else:
            data = bytearray()
        pack.write_bytes(data)
        with local_store(str(place)) as store, local_store(str(good_store)) as other:
            assert isinstance(store.castore, LocalCastore)
            report = verify(store.castore)
            assert any(str(pack) in problem for problem in report.problems)
            assert report.bad_paths
            report.problems = []
            repair(store.castore, report, other)
            assert report.problems == []
            assert contents(store) == contents(other)
        shutil.rmtree(place)


def test_from_one_local_store_into_another(good_store: Path, tmp_path: Path) -> None:
    with local_store(str(good_store)) as source, local_store(str(tmp_path / "to")) as target:
        closure.copy(source, target, list(source.paths()))
        assert isinstance(target.castore, LocalCastore)
        assert verify(target.castore).problems == []
        assert contents(target) == contents(source)
        assert sorted(target.paths()) == sorted(source.paths())


def test_damage_is_not_copied(good_store: Path, tmp_path: Path) -> None:
    shutil.copytree(good_store, tmp_path / "damaged")
    for pack in (tmp_path / "damaged" / "packs").iterdir():
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
    with local_store(str(tmp_path / "damaged")) as source, local_store(str(tmp_path / "to")) as target:
        (large,) = [path for path in source.paths() if path.endswith("-tree")]
        with pytest.raises(Corrupt, match=r"\.pack"):
            closure.copy(source, target, [large])
        assert list(target.paths()) == []


# ---- full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(small_disk: Path, make_tree: MakeTree) -> None:
    with local_store(str(small_disk / "store")) as store:
        assert isinstance(store.castore, LocalCastore)
        kept = [store.add_path(make_tree({"a": os.urandom(300_000).hex()[:400_000]}), f"k{n}").path for n in range(3)]
        kept.append(store.add_text("text", b"small", kept).path)
        before = contents(store)
        for _ in range(3):
            with pytest.raises(Full, match="no room left"):
                store.add_path(make_tree({"large": os.urandom(8_000_000).hex()}), "large")
        # Many small ones, until the database has no room.
        with pytest.raises(Full):
            for number in range(2000):
                store.add_text(f"t{number}", os.urandom(20_000), kept)
        assert verify(store.castore).problems == []
        now = contents(store)
        assert before.items() <= now.items()
    with local_store(str(small_disk / "store")) as store:
        assert isinstance(store.castore, LocalCastore)
        assert contents(store) == now
        collect(store.castore, kept)
        assert contents(store) == before
        assert store.add_text("again", b"there is room", kept).path
        assert verify(store.castore).problems == []


# ---- caches that lie


def test_a_store_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with (
        pytest.raises(ReadOnly, match=r"store\.db cannot be written to, .*: .*; let this user write there"),
        open_store(f"local:{tmp_path}") as store,
    ):
        store.query("/nix/store/" + "0" * 32 + "-x")


KEY = SecretKey.generate("honest-1")


class Cache:
    """A cache in a folder, written as one likes."""

    def __init__(self, folder: Path, make_tree: MakeTree) -> None:
        self.folder = folder
        self.archive = b"".join(nar_pieces(make_tree({"bin": {"run": ["x", "#!/bin/sh\n"]}, "z": "text"})))
        (folder / "nar").mkdir(parents=True)
        self.info = narinfo.NarInfo(
            store_path="/nix/store/" + "0" * 32 + "-x",
            url="nar/x.nar",
            nar_hash=hash_bytes("sha256", self.archive),
            nar_size=len(self.archive),
        )
        self.data = self.archive

    def write(self, *, sign: bool = True) -> None:
        if sign:
            self.info.signatures = [KEY.sign(self.info.fingerprint())]
        place = Path(os.path.normpath(self.folder / self.info.url))
        if place.is_relative_to(self.folder):  # some say that it is elsewhere, where there are files of this machine
            with suppress(OSError):
                place.write_bytes(self.data)
        (self.folder / f"{'0' * 32}.narinfo").write_text(self.info.to_text())

    def url(self) -> str:
        return f"file://{self.folder}?trusted={KEY.public().to_text()}"


@pytest.fixture
def cache(tmp_path: Path, make_tree: MakeTree) -> Cache:
    return Cache(tmp_path / "cache", make_tree)


def fetch(url: str) -> list[str]:
    with open_store(url) as source, open_store("memory:") as target:
        path = "/nix/store/" + "0" * 32 + "-x"
        try:
            closure.copy(source, target, [path])
        except StoreError:
            assert list(target.paths()) == []
            raise
        return list(target.paths())


def test_an_honest_cache(cache: Cache) -> None:
    cache.write()
    assert fetch(cache.url()) == [cache.info.store_path]


def repacked(kind: str, data: bytes) -> bytes:
    from store.backends.compression import compressor

    packer = compressor(kind)
    return packer.compress(data) + packer.flush()


def lie_wrong_contents(cache: Cache) -> str:
    cache.data = cache.archive.replace(b"text", b"tExt")
    return "hash"


def lie_truncated(cache: Cache) -> str:
    cache.data = cache.archive[:-20]
    return "not what its hash says|unexpected end"


def lie_longer(cache: Cache) -> str:
    cache.data = cache.archive + bytes(8)
    return "not what its hash says|goes on after"


def lie_compressed_truncated(cache: Cache) -> str:
    cache.info.compression = "xz"
    cache.data = repacked("xz", cache.archive)[:-9]
    return "is not xz, or not all of it"


def lie_zstd_truncated(cache: Cache) -> str:
    cache.info.compression = "zstd"
    cache.data = repacked("zstd", os.urandom(0) + cache.archive)[:-9]
    return "not what its hash says|unexpected end|is not zstd"


def lie_not_compressed(cache: Cache) -> str:
    cache.info.compression = "zstd"
    return "is not zstd"


def lie_unknown_compression(cache: Cache) -> str:
    cache.info.compression = "lrzip"
    return "unknown compression 'lrzip'"


def lie_bomb(cache: Cache) -> str:
    cache.info.compression = "xz"
    cache.data = repacked("xz", cache.archive + bytes(300_000_000))
    return "not what its hash says|goes on after|more bytes"


def lie_zstd_bomb(cache: Cache) -> str:
    cache.info.compression = "zstd"
    cache.data = repacked("zstd", cache.archive + bytes(300_000_000))
    return "not what its hash says|goes on after|more bytes"


def lie_larger_file(cache: Cache) -> str:
    cache.info.file_size = 10
    cache.info.file_hash = cache.info.nar_hash
    return "goes on after 10 bytes"


def lie_traversal_in_archive(cache: Cache) -> str:
    cache.data = cache.archive.replace(b"bin\0", b"../\0")
    cache.info.nar_hash = hash_bytes("sha256", cache.data)
    return "invalid file name '../'"


def lie_symlink_escape(cache: Cache) -> str:
    """A link to a folder elsewhere, then a folder of the same name with a file: unpacked blindly, it lands there."""
    inside: list[bytes] = []
    writer = NarWriter(inside.append)
    writer.directory()
    writer.entry(b"bin")
    writer.symlink(os.fsencode(cache.folder))
    writer.entry(b"bio")
    writer.directory()
    writer.entry(b"escaped")
    writer.regular(b"x")
    writer.end_directory()
    writer.end_directory()
    writer.finish()
    cache.data = b"".join(inside).replace(b"bio\0", b"bin\0")
    cache.info.nar_hash = hash_bytes("sha256", cache.data)
    cache.info.nar_size = len(cache.data)
    return "file name 'bin' stands twice"


def lie_duplicate_in_archive(cache: Cache) -> str:
    cache.data = cache.archive.replace(b"\1\0\0\0\0\0\0\0z", b"\3\0\0\0\0\0\0\0bin"[:9]).replace(b"z", b"b")
    cache.info.nar_hash = hash_bytes("sha256", cache.data)
    return "invalid|stands twice|out of order|zeros"


def lie_url_leaves(cache: Cache) -> str:
    cache.info.url = "../../etc/passwd"
    return r"an archive cannot be called '\.\./\.\./etc/passwd'"


def lie_url_absolute(cache: Cache) -> str:
    cache.info.url = "/etc/passwd"
    return "an archive cannot be called '/etc/passwd'"


def lie_url_elsewhere(cache: Cache) -> str:
    cache.info.url = "http://elsewhere/x.nar"
    return "an archive cannot be called 'http://elsewhere/x.nar'"


def lie_other_path(cache: Cache) -> str:
    cache.info.store_path = "/nix/store/" + "1" * 32 + "-x"
    return "tells about '/nix/store/1"


def lie_other_name(cache: Cache) -> str:
    cache.info.store_path = "/nix/store/" + "0" * 32 + "-y"
    return "it tells about '/nix/store/0+-y'"


def lie_missing_archive(cache: Cache) -> str:
    cache.info.url = "nar/none.nar"
    cache.folder.joinpath("nar", "none.nar").mkdir()
    return "none.nar"


def lie_missing_reference(cache: Cache) -> str:
    cache.info.references = ["/nix/store/" + "2" * 32 + "-gone"]
    return "2-gone' is not in"


def lie_other_store(cache: Cache) -> str:
    (cache.folder / "nix-cache-info").write_text("StoreDir: /gnu/store\n")
    return "is a cache for the store '/gnu/store'"


LIES = [value for name, value in sorted(globals().items()) if name.startswith("lie_")]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_lying_caches_are_refused(cache: Cache, lie: Callable[[Cache], str]) -> None:
    reason = lie(cache)
    cache.write()
    with pytest.raises(StoreError, match=reason):
        fetch(cache.url())


def test_signatures_that_do_not_count(cache: Cache) -> None:
    cache.write()
    text = (cache.folder / f"{'0' * 32}.narinfo").read_text()
    narinfo_file = cache.folder / f"{'0' * 32}.narinfo"
    other = SecretKey.generate("honest-1")
    for changed, reason in [
        (text.replace("Sig: honest-1", "Sig: other-1"), "signed by 'other-1', none of which is trusted"),
        ("".join(line for line in text.splitlines(True) if not line.startswith("Sig")), "it is not signed"),
        (text.replace(cache.info.signatures[0], other.sign(cache.info.fingerprint())), "'honest-1' is wrong"),
        (text.replace(f"NarSize: {cache.info.nar_size}", "NarSize: 5"), "'honest-1' is wrong"),
        (text.replace("References: ", f"References: {'0' * 32}-x"), "'honest-1' is wrong"),
        (text + "CA: fixed:r:sha256:" + "0" * 52 + "\n", ""),  # an address that is not the archive's changes nothing
    ]:
        narinfo_file.write_text(changed)
        if reason:
            with pytest.raises(Refused, match=reason):
                fetch(cache.url())
        else:
            assert fetch(cache.url())
    # With a false address and no signature it proves nothing.
    unsigned = "".join(line for line in text.splitlines(True) if not line.startswith("Sig"))
    narinfo_file.write_text(unsigned + f"CA: fixed:r:sha256:{cache.info.nar_hash.nix32()}\n")
    with pytest.raises(Refused, match="it is not signed"):
        fetch(cache.url())
    narinfo_file.write_text(unsigned)
    assert fetch(f"file://{cache.folder}?require-signatures=false")


def test_a_path_that_proves_itself_needs_no_signature(cache: Cache) -> None:
    digest = cache.info.nar_hash
    cache.info.store_path = source_path("x", digest.base16())
    cache.info.ca = f"fixed:r:sha256:{digest.nix32()}"
    (cache.folder / "nar" / "x.nar").write_bytes(cache.archive)
    (cache.folder / f"{digest_of(cache.info.store_path)}.narinfo").write_text(cache.info.to_text())
    with open_store(cache.url()) as source, open_store("memory:") as target:
        assert closure.copy(source, target, [cache.info.store_path]).done == 1


class _Endless(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        served: dict[str, bytes] = self.server.files  # type: ignore[attr-defined]
        self.send_response(200 if self.path in served else 404)
        self.end_headers()
        data = served.get(self.path, b"")
        with suppress(ConnectionError):
            self.wfile.write(data)
            while data.endswith(b"..."):
                self.wfile.write(b"x" * 65536)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def http_files(files: dict[str, bytes]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    server.files = files  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}?trusted={KEY.public().to_text()}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_endless_answers(cache: Cache) -> None:
    cache.write()
    text = cache.info.to_text().encode()
    files = {f"/{'0' * 32}.narinfo": text, "/nar/x.nar": cache.archive + b"..."}
    with http_files(files) as url, pytest.raises(StoreError, match=r"goes on after|more bytes"):
        fetch(url)
    with (
        http_files({f"/{'0' * 32}.narinfo": text + b"Future: ..."}) as url,
        pytest.raises(Refused, match="is larger than"),
    ):
        fetch(url)
    with http_files({"/nix-cache-info": b"..."}) as url, pytest.raises(Refused, match="is larger than"):
        fetch(url)


def test_nobody_there() -> None:
    with pytest.raises(StoreError, match="refused"):
        fetch("http://127.0.0.1:9/cache")


def test_an_archive_is_never_half_kept(tmp_path: Path, make_tree: MakeTree) -> None:
    """A source that breaks in the middle of a large archive leaves nothing that could be asked for."""
    archive = b"".join(nar_pieces(make_tree({"a": os.urandom(3_000_000).hex(), "b": "c"})))

    def broken() -> Iterator[bytes]:
        yield archive[:4_000_000]
        raise Corrupt("the line went dead")

    digest = hash_bytes("sha256", archive)
    info = PathInfo(source_path("x", digest.base16()), digest.digest, len(archive))
    with local_store(str(tmp_path / "store")) as store:
        with pytest.raises(Corrupt, match="went dead"):
            store.add(info, PiecesSource(broken()).read)
        assert store.query(info.path) is None
        assert list((tmp_path / "store" / "packs").iterdir()) == []
        store.add(info, PiecesSource([archive]).read)
        assert isinstance(store.castore, LocalCastore)
        assert verify(store.castore).problems == []
    assert Hash("sha256", digest.digest) == digest
