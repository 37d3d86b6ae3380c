"""Builds over gRPC: the same events on the other side, contents sent and taken, deadlines, cancelling, dead servers."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from builder.events import (
    BuildEvent,
    BuiltOutput,
    Failed,
    LogLine,
    Phase,
    Queued,
    Resources,
    Started,
    Succeeded,
    Why,
)
from builder.progress import OfBuild
from builder.realise import BuildFailed, Cancelled, Realiser, Wish
from builder.remote import messages, sharing
from builder.remote.client import RemoteBuildService, open_service
from builder.remote.server import BUILD_DESCRIPTORS, server
from builder.remote.transfer import transfer
from builder.request import BuildRequest, Constraints, Input
from store.backends.memory import MemoryCastore
from store.castore.nodes import DirectoryNode, FileNode, SymlinkNode
from store.castore.services import StoreError
from store.castore.trees import nar_of
from store.castore.wire import WireError
from store.composition import local_store
from store.composition.castore_store import CastoreStore
from store.composition.urls import BadUrl
from store.remote.client import RemoteCastore
from store.remote.messages import as_is
from store.remote.server import server as castore_server
from tests.builder.scheduling.pretending import SETTINGS, SYSTEM, Heard, Pretending, Recipes

DIGEST = bytes(range(32))


@contextmanager
def serving(service: Pretending, jobs: int = 2) -> Iterator[str]:
    made, port = server(service, service.store, "127.0.0.1:0", jobs=jobs)
    made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.stop(None).wait()


class Scene:
    """A store here, one over there with a service, and what is heard here."""

    def __init__(self, near: CastoreStore, far: CastoreStore, target: str, service: Pretending) -> None:
        self.near = near
        self.far = far
        self.target = target
        self.recipes = Recipes(near)
        self.service = service
        self.stub = RemoteBuildService(RemoteCastore(target), near)
        self.heard = Heard()
        self.realiser = Realiser(near, service=self.stub, settings=SETTINGS, on_event=self.heard.hear)


@pytest.fixture
def scene(store: CastoreStore, tmp_path: Path) -> Iterator[Scene]:
    with local_store(str(tmp_path / "far")) as far:
        service = Pretending(far)
        with serving(service) as target:
            made = Scene(store, far, target, service)
            yield made
            made.stub.close()


def test_a_graph_is_built_over_there_and_comes_here(scene: Scene) -> None:
    below = scene.recipes.add("below")
    top = scene.recipes.add("top", below)
    scene.realiser.realise([Wish(top)])
    assert scene.service.built == [below, top]
    for drv_path in (below, top):
        info = scene.near.query(scene.recipes.output(drv_path))
        assert info is not None
        assert scene.recipes.output(drv_path).rpartition("-")[2].encode() in b"".join(scene.near.nar(info))
    lines = [each.event.line for each in scene.heard if isinstance(each, OfBuild) and isinstance(each.event, LogLine)]
    assert lines[:2] == [b"line 0 of below", b"line 1 of below"]


def test_trees_of_inputs_are_there_when_it_is_built(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "file").write_text("contents")
    (source / "link").symlink_to("deep")
    info = scene.near.add_path(str(source))
    assert info.node is not None
    request = BuildRequest(
        command=(b"x",),
        outputs=("nix/store/" + "0" * 32 + "-x",),
        inputs=(Input(info.path, info.node),),
        name="x",
        derivation="/nix/store/" + "1" * 32 + "-x.drv",
    )
    *_, last = scene.stub.build(request, threading.Event())
    assert isinstance(last, Succeeded)
    assert b"contents" in b"".join(scene.far.nar(info))
    *_, again = scene.stub.build(request, threading.Event())
    assert again == last


def test_a_failed_build_fails_as_it_does_here(scene: Scene) -> None:
    bad = scene.recipes.add("bad", does="fail")
    with pytest.raises(BuildFailed) as failed:
        scene.realiser.realise([Wish(bad)])
    assert failed.value.why == "builder failed with exit code 1"
    assert failed.value.log == tuple(f"line {number} of bad" for number in (2, 3, 4))


def test_cancelling_here_ends_it_over_there(scene: Scene) -> None:
    hangs = scene.recipes.add("hangs", does="hang")
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(scene.realiser.realise, [Wish(hangs)], cancel)
        scene.heard.wait(lambda event: isinstance(event, OfBuild) and isinstance(event.event, Started))
        cancel.set()
        with pytest.raises(Cancelled):
            doing.result(60)
    # A slot is free again only when the build over there has ended.
    scene.realiser.realise([Wish(scene.recipes.add(f"x{number}")) for number in range(3)])


def test_a_deadline_ends_it_over_there(scene: Scene) -> None:
    hangs = scene.recipes.add("hangs", does="hang")
    request = BuildRequest(
        command=(b"x",), outputs=(), environment=((b"does", b"hang"),), derivation=hangs, name="hangs"
    )
    from builder.request import encode

    with grpc.insecure_channel(scene.target) as channel:
        call = channel.unary_stream(f"/{messages.SERVICE}/Build", as_is, as_is)
        with pytest.raises(grpc.RpcError) as failed:
            list(call(encode(request), timeout=0.5))
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    scene.realiser.realise([Wish(scene.recipes.add(f"x{number}")) for number in range(3)])


def test_more_builds_than_slots_wait(store: CastoreStore, tmp_path: Path) -> None:
    goes = threading.Event()
    with local_store(str(tmp_path / "far")) as far:
        service = Pretending(far, lambda _: goes.wait(60))
        with serving(service, jobs=1) as target:
            recipes = Recipes(store)
            drvs = [recipes.add(f"x{number}", does="ask") for number in range(2)]
            heard = Heard()
            stub = RemoteBuildService(RemoteCastore(target), store)
            realiser = Realiser(store, service=stub, settings=SETTINGS, jobs=2, on_event=heard.hear)
            with ThreadPoolExecutor(1) as pool:
                doing = pool.submit(realiser.realise, map(Wish, drvs))
                heard.wait(lambda event: isinstance(event, OfBuild) and isinstance(event.event, Queued))
                goes.set()
                doing.result(60)
            assert service.most == 1
            stub.close()


class Two:
    """Two clients of a server whose builds go on when they are let."""

    def __init__(self, folder: Path) -> None:
        self.begun, self.goes = threading.Event(), threading.Event()
        self.folder = folder

    def wait(self, _: str) -> None:
        self.begun.set()
        assert self.goes.wait(60)

    @contextmanager
    def client(self, name: str, target: str) -> Iterator[tuple[Realiser, Heard, Recipes]]:
        with local_store(str(self.folder / name)) as store:
            stub = RemoteBuildService(RemoteCastore(target), store)
            heard = Heard()
            yield Realiser(store, service=stub, settings=SETTINGS, on_event=heard.hear), heard, Recipes(store)
            stub.close()


def has_begun(event: object) -> bool:
    return isinstance(event, OfBuild) and isinstance(event.event, LogLine)


def lines(heard: Heard) -> list[bytes]:
    return [each.event.line for each in heard if isinstance(each, OfBuild) and isinstance(each.event, LogLine)]


@pytest.mark.parametrize("first_goes", [False, True])
def test_two_clients_who_want_the_same_get_one_build(tmp_path: Path, first_goes: bool) -> None:
    two = Two(tmp_path)
    with local_store(str(tmp_path / "far")) as far, ThreadPoolExecutor(2) as pool:
        service = Pretending(far, two.wait)
        with (
            serving(service, jobs=2) as target,
            two.client("a", target) as (one, heard, recipes),
            two.client("b", target) as (other, also_heard, others),
        ):
            drv_path = recipes.add("x", does="ask")
            assert others.add("x", does="ask") == drv_path
            cancel = threading.Event()
            first = pool.submit(one.realise, [Wish(drv_path)], cancel)
            assert two.begun.wait(60)
            second = pool.submit(other.realise, [Wish(drv_path)])
            also_heard.wait(has_begun)
            if first_goes:
                cancel.set()
                with pytest.raises(Cancelled):
                    first.result(60)
            two.goes.set()
            assert second.result(60) == {f"{drv_path}!out": recipes.output(drv_path)}
            if not first_goes:
                assert first.result(60) == second.result(60)
                assert lines(heard) == lines(also_heard)
            assert len(lines(also_heard)) == 5
            assert service.built == [drv_path]


def test_the_death_of_the_last_who_wants_it_ends_a_build(tmp_path: Path) -> None:
    two = Two(tmp_path)
    with local_store(str(tmp_path / "far")) as far, ThreadPoolExecutor(2) as pool:
        service = Pretending(far)
        with serving(service, jobs=1) as target:
            cancels = [threading.Event(), threading.Event()]
            with two.client("a", target) as (one, heard, recipes), two.client("b", target) as (other, also, others):
                drv_path = recipes.add("x", does="hang")
                others.add("x", does="hang")
                waiting = [
                    pool.submit(realiser.realise, [Wish(drv_path)], cancel)
                    for realiser, cancel in zip((one, other), cancels, strict=True)
                ]
                heard.wait(has_begun)
                also.wait(has_begun)
                for cancel, doing in zip(cancels, waiting, strict=True):
                    cancel.set()
                    with pytest.raises(Cancelled):
                        doing.result(60)
                # The one slot is free again, and what ended is begun anew.
                one.realise([Wish(recipes.add("y"))])
                assert service.built == [drv_path, recipes.add("y")]


def test_who_comes_late_hears_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_REMEMBERED", 3)
    said, goes = threading.Event(), threading.Event()

    def work(cancel: threading.Event) -> Iterator[BuildEvent]:
        for number in range(10):
            yield LogLine(b"%d" % number)
        said.set()
        assert goes.wait(60)
        yield Failed(Why.EXIT, "over")

    shared = sharing.Shared(work, lambda: None)
    assert shared.join()
    shared.start()
    assert said.wait(60)
    goes.set()
    *heard, last = shared.hear(threading.Event(), 0.1)
    assert isinstance(last, Failed)
    assert heard[0] in (LogLine(b"(7 lines are left out)"), LogLine(b"(8 lines are left out)"))
    assert heard[1:] == [LogLine(b"%d" % number) for number in range(11 - len(heard), 10)]
    assert not shared.join()


def test_what_is_no_request_is_refused(scene: Scene) -> None:
    with grpc.insecure_channel(scene.target) as channel:
        call = channel.unary_stream(f"/{messages.SERVICE}/Build", as_is, as_is)
        with pytest.raises(grpc.RpcError) as failed:
            list(call(b"\xff\xff\xff", timeout=30))
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(("more", "what"), [(b"\x6a\x01x", "field 13"), (b"\x42\x02\x68\x01", "constraint 13")])
def test_what_a_newer_client_asks_for_is_not_passed_over(scene: Scene, more: bytes, what: str) -> None:
    from builder.request import encode

    with grpc.insecure_channel(scene.target) as channel:
        call = channel.unary_stream(f"/{messages.SERVICE}/Build", as_is, as_is)
        with pytest.raises(grpc.RpcError) as failed:
            list(call(encode(BuildRequest(command=(b"x",), outputs=())) + more, timeout=30))
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"of this version, which does not know its {what}" in str(failed.value.details())


def test_a_newer_server_is_understood_or_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "encode_event", lambda _: b"\x7a\x01x")
    with pytest.raises(BuildFailed, match="unknown kind 15; have the same version on both sides"):
        scene.realiser.realise([Wish(scene.recipes.add("x"))])


def test_a_server_that_only_keeps_a_store(store: CastoreStore) -> None:
    made, port = castore_server(MemoryCastore(), "127.0.0.1:0")
    made.start()
    stub = open_service(f"grpc://127.0.0.1:{port}", store)
    with pytest.raises(StoreError, match="builds nothing: it is no 'tvix-build serve'"):
        Realiser(store, service=stub, settings=SETTINGS).realise([Wish(Recipes(store).add("x"))])
    stub.close()
    made.stop(None).wait()


def test_large_outputs_and_many_files_come_whole(scene: Scene, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in ("a", "b/c"):
        (tree / folder).mkdir(parents=True)
        for number in range(150):
            (tree / folder / str(number)).write_text(f"{folder} {number % 100}")
    (tree / "large").write_bytes(os.urandom(30_000_000))
    (tree / "link").symlink_to("large")
    info = scene.near.add_path(str(tree))
    assert info.node is not None
    transfer([info.node], scene.near.castore, scene.stub._castore)
    with local_store(str(tmp_path / "third")) as third:
        transfer([info.node], scene.stub._castore, third.castore)
        hasher = hashlib.sha256()
        for piece in nar_of(info.node, third.castore):
            hasher.update(piece)
        assert hasher.digest() == info.nar_sha256


def test_a_builder_that_is_not_there(store: CastoreStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stub = open_service(f"grpc://127.0.0.1:{taken.getsockname()[1]}", store)
        with pytest.raises(StoreError, match="does not answer"):
            Realiser(store, service=stub, settings=SETTINGS).realise([Wish(Recipes(store).add("x"))])
        (failed,) = stub.build(BuildRequest(command=(), outputs=()), threading.Event())
        assert isinstance(failed, Failed)
        assert failed.why is Why.UNREACHABLE
        stub.close()


def test_a_server_that_stops_in_the_middle(store: CastoreStore, tmp_path: Path) -> None:
    begun = threading.Event()
    goes = threading.Event()
    with local_store(str(tmp_path / "far")) as far, ThreadPoolExecutor(1) as pool:

        def wait(_: str) -> None:
            begun.set()
            goes.wait(60)

        service = Pretending(far, wait)
        made, port = server(service, far, "127.0.0.1:0", jobs=1)
        made.start()
        stub = open_service(f"grpc://127.0.0.1:{port}", store)
        drv_path = Recipes(store).add("x", does="ask")
        doing = pool.submit(Realiser(store, service=stub, settings=SETTINGS).realise, [Wish(drv_path)])
        assert begun.wait(60)
        stopped = made.stop(None)
        with pytest.raises(BuildFailed) as failed:
            doing.result(60)
        assert failed.value.kind == "unbuildable"
        goes.set()
        stopped.wait()
        stub.close()


OUTPUT = "nix/store/" + "0" * 32 + "-x"
EVENTS: list[BuildEvent] = [
    Queued(),
    Started(),
    Started("crun"),
    LogLine(b""),
    LogLine(b"\xff text"),
    Phase("unpackPhase"),
    Resources(1.5, 0.25, 0.125, 1 << 33, 70),
    Resources(0.0),
    Succeeded(()),
    Succeeded(
        (
            BuiltOutput(OUTPUT, FileNode(DIGEST, 5, True), DIGEST, 120, ("a" * 32, "b" * 32)),
            BuiltOutput(OUTPUT, DirectoryNode(DIGEST, 3), DIGEST, 1 << 40, ()),
            BuiltOutput(OUTPUT, SymlinkNode(b"/else"), DIGEST, 120, ()),
        )
    ),
    Failed(Why.EXIT, "builder failed", 2, (b"one", b"", b"\xfe"), "/tmp/kept"),
    *(Failed(why, "") for why in Why),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_survive_the_wire(event: BuildEvent) -> None:
    assert messages.decode_event(messages.encode_event(event)) == event


@pytest.mark.parametrize(
    "data", [b"", b"\x3a\x05\x0a\x03bad", b"\x9a\x01\x00", b"\x08\x01", b"\x32\x04\x0a\x02\x0a\x00"]
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        messages.decode_event(data)


def test_the_protocol_file_says_the_same(tmp_path: Path) -> None:
    """Messages written by our encoder read the same with classes that protoc makes of the protocol file."""
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    factory = pytest.importorskip("google.protobuf.message_factory")
    from google.protobuf import descriptor_pb2, descriptor_pool

    from builder.request import encode

    root = Path(messages.__file__).parent.parent.parent
    out = tmp_path / "set"
    folders = [f"-I{root}/builder/protos", f"-I{root}/store/protos"]
    assert protoc.main(["", *folders, "--include_imports", f"--descriptor_set_out={out}", "build.proto"]) == 0
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)

    def read(name: str, data: bytes) -> Any:
        made = factory.GetMessageClass(pool.FindMessageTypeByName(f"tvix.build.v1.{name}"))
        return made.FromString(data)

    for event in EVENTS:
        encoded = messages.encode_event(event)
        assert read("BuildEvent", encoded).SerializeToString(deterministic=True) == encoded
    failed = read("BuildEvent", messages.encode_event(EVENTS[10])).failed
    assert (failed.why, failed.status, list(failed.tail), failed.kept) == (
        "exit",
        2,
        [b"one", b"", b"\xfe"],
        "/tmp/kept",
    )
    request = BuildRequest(
        command=(b"/bin/sh", b"-c"),
        outputs=(OUTPUT,),
        inputs=(Input("/nix/store/" + "1" * 32 + "-y", FileNode(DIGEST, 3)),),
        environment=((b"a", b"\xff"),),
        files=(("build/x", b"y"),),
        needles=("0" * 32,),
        constraints=Constraints(SYSTEM, 1, ("/a",), True, True, 2, 3, 4, 5, 6, 7, 8),
        name="x",
        derivation="/nix/store/x.drv",
    )
    found = read("BuildRequest", encode(request))
    assert found.SerializeToString(deterministic=True) == encode(request)
    limits = found.constraints
    assert (limits.memory, limits.cores, limits.seconds, limits.silence) == (2, 3, 4, 5)
    assert (limits.log_size, limits.processes, limits.output_size) == (6, 7, 8)
    assert (found.inputs[0].file.size, found.environment_vars[0].value) == (3, b"\xff")


def test_the_descriptors_are_those_of_the_protocol_file(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    folder = BUILD_DESCRIPTORS.parent
    flags = ["-I../../store/protos", "--include_imports"]
    out = tmp_path / "build.pb"
    assert (
        protoc.main(
            [
                "",
                f"-I{folder}",
                f"-I{folder}/../../store/protos",
                *flags[1:],
                f"--descriptor_set_out={out}",
                "build.proto",
            ]
        )
        == 0
    )
    remedy = f"in {folder}: python -m grpc_tools.protoc -I. {' '.join(flags)} --descriptor_set_out=build.pb build.proto"
    assert out.read_bytes() == BUILD_DESCRIPTORS.read_bytes(), remedy


def test_a_client_learns_the_service_from_the_server(scene: Scene) -> None:
    factory = pytest.importorskip("google.protobuf.message_factory")
    database = pytest.importorskip("grpc_reflection.v1alpha.proto_reflection_descriptor_database")
    from google.protobuf import descriptor_pool

    with grpc.insecure_channel(scene.target) as channel:
        known = database.ProtoReflectionDescriptorDatabase(channel)
        assert messages.SERVICE in known.get_services()
        pool = descriptor_pool.DescriptorPool(known)
        method = pool.FindServiceByName(messages.SERVICE).FindMethodByName("Systems")
        request, answer = (factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        path = f"/{messages.SERVICE}/Systems"
        call = channel.unary_unary(
            path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
        )
        assert list(call(request()).systems) == [SYSTEM]
        build = pool.FindServiceByName(messages.SERVICE).FindMethodByName("Build")
        assert "inputs" in build.input_type.fields_by_name


@pytest.mark.parametrize("url", ["http://a", "grpc:", "localhost:8090", "grpc:relative"])
def test_urls_that_are_no_builder(store: CastoreStore, url: str) -> None:
    with pytest.raises(BadUrl, match=r"grpc://HOST:PORT"):
        open_service(url, store)
