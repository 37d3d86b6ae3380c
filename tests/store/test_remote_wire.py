"""What a gRPC server says of itself, TLS, deadlines and status codes: as other people's clients see them."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from store.backends.memory import MemoryCastore
from store.castore import nodes
from store.castore.services import Castore, Full, StoreError, Unreachable
from store.composition import open_store
from store.composition.castore_store import CastoreStore
from store.remote import messages, reflection
from store.remote.client import RemoteCastore
from store.remote.messages import as_is
from store.remote.reflection import STORE_DESCRIPTORS
from store.remote.server import Certificates, server

MakeTree = Callable[[Any], str]
BLOB = nodes.blake3(b"blob")


@contextmanager
def serving(castore: Castore, **options: Any) -> Iterator[str]:
    made, port = server(castore, "127.0.0.1:0", **{"writable": True, **options})
    made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.stop(None).wait()


# ---- reflection


def test_the_descriptors_are_those_of_the_protos(tmp_path: Path) -> None:
    protos = STORE_DESCRIPTORS.parent
    out = tmp_path / "store.pb"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports", f"--descriptor_set_out={out}"]
    subprocess.run([*command, "store.proto"], check=True, cwd=protos)
    remedy = f"in {protos}: python -m grpc_tools.protoc -I. --include_imports --descriptor_set_out=store.pb store.proto"
    assert out.read_bytes() == STORE_DESCRIPTORS.read_bytes(), remedy


def test_a_client_learns_everything_from_the_server() -> None:
    from google.protobuf import descriptor_pool, message_factory
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    castore = MemoryCastore()
    castore.blobs.put_whole(b"blob")
    with serving(castore) as target, grpc.insecure_channel(target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = {messages.BLOBS, messages.DIRECTORIES, messages.PATH_INFOS}
        assert set(database.get_services()) == services | set(reflection.NAMES)
        pool = descriptor_pool.DescriptorPool(database)
        for service in services:
            assert pool.FindServiceByName(service).methods
        # A call with nothing but what it learnt.
        read = pool.FindServiceByName(messages.BLOBS).FindMethodByName("Read")
        request = message_factory.GetMessageClass(read.input_type)(digest=BLOB)
        answer: Any = message_factory.GetMessageClass(read.output_type)
        call = channel.unary_stream(f"/{messages.BLOBS}/Read", request.__class__.SerializeToString, answer.FromString)
        assert b"".join(piece.data for piece in call(request)) == b"blob"
        for symbol in ("tvix.store.v1.NARInfo.CA.Hash", "tvix.castore.v1.Directory.files", f"{messages.BLOBS}.Put"):
            assert database.FindFileContainingSymbol(symbol).name.endswith(".proto")
        with pytest.raises(KeyError):
            database.FindFileContainingSymbol("tvix.castore.v1.Nothing")
        with pytest.raises(KeyError):
            database.FindFileByName("nothing.proto")


def test_questions_that_are_none_are_answered_with_an_error() -> None:
    with serving(MemoryCastore()) as target, grpc.insecure_channel(target) as channel:
        for name in reflection.NAMES:
            ask = channel.stream_stream(f"/{name}/ServerReflectionInfo", as_is, as_is)
            for question in (b"", b"\x0a\x01x", b"\xff\xff", b"\x22\x01\xff", b"\x4a\x01x"):
                (answer,) = ask(iter([question]))
                assert question in answer and b"\x3a" in answer[len(question) :]  # field 7, an error


# ---- TLS


class Authority:
    """Signs certificates for a test, and writes them to files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(self.name, self.key, ca=True)
        self.file = self._write(f"{name}-ca.pem", self.certificate)

    def issue(self, name: str) -> tuple[str, str]:
        """Files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._write(f"{name}.pem", self._signed(subject, key)), self._write(f"{name}.key", private)

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ca: bool = False) -> bytes:
        today = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)


@contextmanager
def the_command(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "store.command.cli", "serve", "--grpc", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            yield served.stdout.readline().strip()
        finally:
            served.terminate()


def test_a_store_over_tls(tmp_path: Path, make_tree: MakeTree) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    certificate, key = ours.issue("server")
    tls = ["--tls-cert", certificate, "--tls-key", key]
    with the_command("--store", f"local:{tmp_path}/far", "--grpc-writable", *tls) as url:
        assert url.startswith("grpcs://127.0.0.1:")
        with open_store(f"{url}?tls-ca={ours.file}") as store:
            assert isinstance(store, CastoreStore)
            path = store.add_path(make_tree({"a": "b"}), "tree").path
            assert list(store.paths()) == [path]
        (tmp_path / "stores.toml").write_text(f'[stores.far]\nurl = "{url}"\ntls-ca = "ours-ca.pem"\n')
        with open_store(str(tmp_path / "stores.toml")) as store:
            assert store.query(path) is not None
        # Signed by somebody else, by nobody whom gRPC knows; not encrypted.
        for wrong in (f"{url}?tls-ca={other.file}", url, url.replace("grpcs:", "grpc:")):
            with open_store(f"{wrong}{'&' if '?' in wrong else '?'}timeout=5") as store, pytest.raises(Unreachable):
                store.query(path)


def test_only_clients_with_a_certificate(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    certificate, key = (Path(file).read_bytes() for file in ours.issue("server"))
    path = "/nix/store/" + "0" * 32 + "-x"
    shown = {name: authority.issue(name) for name, authority in (("friend", ours), ("stranger", other))}
    with serving(MemoryCastore(), certificates=Certificates(certificate, key, Path(ours.file).read_bytes())) as target:
        url = f"grpcs://{target}?timeout=60&tls-ca={ours.file}"
        with open_store(f"{url}&tls-cert={shown['friend'][0]}&tls-key={shown['friend'][1]}") as store:
            assert store.query(path) is None
        with (
            open_store(f"{url}&tls-cert={shown['stranger'][0]}&tls-key={shown['stranger'][1]}") as store,
            pytest.raises(Unreachable),
        ):
            store.query(path)
        with open_store(url) as store, pytest.raises(Unreachable):
            store.query(path)


def test_certificates_that_do_not_go_together(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path, "ours").issue("server")
    for url, reason in [
        (f"grpc://127.0.0.1:9?tls-ca={certificate}", "written grpcs://"),
        (f"grpcs://127.0.0.1:9?tls-cert={certificate}", "belong together"),
        (f"grpcs://127.0.0.1:9?tls-ca={tmp_path}/none", "No such file"),
    ]:
        with pytest.raises(StoreError, match=reason), open_store(url):
            pass
    command = [sys.executable, "-m", "store.command.cli", "serve", "--store", "memory:", "--grpc", "127.0.0.1:0"]
    for arguments in (["--tls-cert", certificate], ["--tls-key", key], ["--tls-client-ca", certificate]):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "belong together" in done.stderr
    (tmp_path / "bad").write_text("nothing")
    arguments = ["--tls-cert", str(tmp_path / "bad"), "--tls-key", key]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot listen" in done.stderr and "Traceback" not in done.stderr


# ---- deadlines and status codes


@pytest.mark.parametrize("address", ["localhost", "localhost:", "localhost:99999", "localhost:x", "8090"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(StoreError, match="it is HOST:PORT, with a port up to 65535, or unix:PATH"):
        server(MemoryCastore(), address)


class Odd(MemoryCastore):
    """A castore whose blobs do what a test wants."""

    def __init__(self, read: Callable[[], Iterator[bytes]]) -> None:
        super().__init__()
        self.read_blob = read
        self.blobs.read = lambda digest: self.read_blob()  # type: ignore[method-assign]


def test_a_server_stops_when_the_deadline_has_passed() -> None:
    stopped = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            stopped.set()

    with serving(Odd(endless)) as target:
        remote = RemoteCastore(target, timeout=0.5)
        with pytest.raises(Unreachable, match=r"(?i)deadline"):
            for _ in remote.blobs.read(BLOB):
                pass
        assert stopped.wait(200)


def test_a_server_stops_when_the_client_goes() -> None:
    stopped = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            stopped.set()

    with serving(Odd(endless)) as target:
        reading = RemoteCastore(target).blobs.read(BLOB)
        next(reading)
        reading.close()  # type: ignore[attr-defined]
        assert stopped.wait(200)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Full("no room left"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (StoreError("something"), grpc.StatusCode.INTERNAL),
        (OSError(5, "Input/output error"), grpc.StatusCode.INTERNAL),
        (ZeroDivisionError("a fault of ours"), grpc.StatusCode.INTERNAL),
    ],
)
def test_status_codes(error: Exception, code: grpc.StatusCode) -> None:
    def fail() -> Iterator[bytes]:
        raise error

    with serving(Odd(fail)) as target, grpc.insecure_channel(target) as channel:
        call = channel.unary_stream(f"/{messages.BLOBS}/Read", as_is, as_is)
        with pytest.raises(grpc.RpcError) as caught:
            list(call(messages.field_1(BLOB)))
        assert caught.value.code() is code
        assert str(error) in str(caught.value.details())


def test_a_method_that_is_not_there() -> None:
    with serving(MemoryCastore()) as target, pytest.raises(StoreError, match=r"(?i)method not found"):
        RemoteCastore(target).one(messages.BLOBS, "Burn", b"")
