"""Build requests: made of derivations, written as bytes and read again, refused when they are malformed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.events import Failed, Why
from builder.prepare import Limits, prepare
from builder.request import BuildRequest, Constraints, Input, RequestError, decode, encode
from builder.structured_attrs import Json, dump, shell
from store.castore.nodes import DirectoryNode, FileNode, Node, SymlinkNode
from store.castore.services import Missing
from store.derivation import Output
from store.records import replace
from tests.builder.sandbox.building import Sandbox

BASE = "0000000000000000000000000000000a-name"
DIGESTS = st.binary(min_size=32, max_size=32)
SIZES = st.integers(0, 1 << 40)
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(FileNode, DIGESTS, SIZES, st.booleans()),
    st.builds(DirectoryNode, DIGESTS, SIZES),
    st.builds(SymlinkNode, st.binary(min_size=1, max_size=40).filter(lambda target: b"\0" not in target)),
)
NUMBERS = st.integers(0, (1 << 63) - 1)
PATHS = st.text("abc/.-", min_size=1, max_size=12)
REQUESTS = st.builds(
    BuildRequest,
    command=st.lists(st.binary(max_size=9), max_size=4).map(tuple),
    outputs=st.lists(PATHS, max_size=3).map(tuple),
    inputs=st.lists(st.builds(Input, st.just(f"/nix/store/{BASE}"), NODES), max_size=3).map(tuple),
    environment=st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=3).map(tuple),
    files=st.lists(st.tuples(PATHS, st.binary(max_size=20)), max_size=2).map(tuple),
    needles=st.lists(st.text("abcdf", min_size=1), max_size=3).map(tuple),
    constraints=st.builds(
        Constraints,
        system=st.text(max_size=9),
        min_memory=NUMBERS,
        read_only_paths=st.lists(PATHS, max_size=2).map(tuple),
        network=st.booleans(),
        bin_sh=st.booleans(),
        memory=NUMBERS,
        cores=NUMBERS,
        seconds=NUMBERS,
        silence=NUMBERS,
        log_size=NUMBERS,
        processes=NUMBERS,
        output_size=NUMBERS,
    ),
    name=st.text(max_size=9),
    derivation=st.text(max_size=9),
)


@given(REQUESTS)
def test_what_is_written_is_read_again(request: BuildRequest) -> None:
    again = decode(encode(request))
    assert again == request
    assert hash(again) == hash(request)
    assert again.digest() == request.digest()
    assert encode(again) == encode(request)


@given(REQUESTS, REQUESTS)
def test_other_requests_have_other_digests(one: BuildRequest, other: BuildRequest) -> None:
    assert (one == other) == (one.digest() == other.digest())


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        decode(data)
    except RequestError as error:
        assert "not a build request" in str(error)


def test_request_of_a_derivation(any_sandbox: Sandbox) -> None:
    """Everything that matters is in it, sorted; nothing of this process's environment."""
    store = any_sandbox.store
    deep = store.add_text("deep", b"x").path
    source = store.add_text("source", deep.encode(), [deep]).path
    drv = any_sandbox.derivation("echo $a", {"a": source}, outputs={"out": Output(), "dev": Output()}, sources={source})
    path = any_sandbox.add(drv)
    request = prepare(store, path, drv, cores=3, limits=Limits(memory=5, seconds=6, silence=7, log_size=8))
    assert [entry.path for entry in request.inputs] == sorted([deep, source])
    assert request.outputs == tuple(sorted(output.path[1:] for output in drv.outputs.values()))
    assert request.needles == tuple(sorted(p[11:43] for p in [deep, source, *["/" + p for p in request.outputs]]))
    assert request.constraints == Constraints(
        "x86_64-linux", cores=3, memory=5, seconds=6, silence=7, log_size=8, network=False
    )
    environment = dict(request.environment)
    assert environment[b"NIX_BUILD_CORES"] == b"3"
    assert environment[b"a"] == source.encode()
    assert list(request.environment) == sorted(request.environment)
    assert b"USER" not in environment
    assert prepare(store, path, drv, cores=3).digest() != request.digest()
    assert request.derivation == path


def test_only_fixed_outputs_have_network(any_sandbox: Sandbox) -> None:
    fixed = any_sandbox.derivation("", outputs={"out": Output("", "sha256", "00" * 32)})
    request = prepare(any_sandbox.store, any_sandbox.add(fixed), fixed)
    assert request.constraints.network
    assert dict(request.environment)[b"NIX_OUTPUT_CHECKED"] == b"1"


def test_input_that_is_not_there(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("", sources={f"/nix/store/{BASE}"})
    with pytest.raises(Missing, match=BASE):
        prepare(any_sandbox.store, "/nix/store/00000000000000000000000000000000-x.drv", drv)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"__noChroot": "1"}, "__noChroot"),
        ({"requiredSystemFeatures": "gpu big-parallel"}, "features {big-parallel, gpu} is required"),
        ({"__impureHostDeps": "/usr/lib"}, "__impureHostDeps"),
        ({"exportReferencesGraph": "one"}, "odd number of tokens"),
        ({"exportReferencesGraph": "../x /nix/store/" + BASE}, "invalid file name"),
        ({"exportReferencesGraph": "x /nix/store/" + BASE}, "not in the input closure"),
        ({"exportReferencesGraph": "x /etc/passwd"}, "contains a non-store path '/etc/passwd'"),
        ({"__json": "[1]"}, "__json"),
        ({"__json": "{"}, "__json"),
        ({"__json": '{"requiredSystemFeatures":"kvm"}'}, "must be a list of strings"),
    ],
)
def test_derivations_that_are_refused(env: dict[str, str], message: str, any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("", env)
    with pytest.raises(RequestError, match=message):
        prepare(any_sandbox.store, any_sandbox.add(drv), drv)


def test_builtin_builders_are_not_for_the_sandbox(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("")
    drv.builder = "builtin:fetchurl"
    with pytest.raises(RequestError, match="builtin:fetchurl"):
        prepare(any_sandbox.store, any_sandbox.add(drv), drv)


MALFORMED = {
    "no command": {"command": ()},
    "a file outside": {"files": (("etc/passwd", b""),)},
    "a file that climbs out": {"files": (("build/../../x", b""),)},
    "a file in the store": {"files": ((f"nix/store/{BASE}", b""),)},
    "another store": {"inputs_dir": "gnu/store"},
    "another scratch folder": {"scratch_paths": ("build", "nix/store", "etc")},
    "an output outside": {"outputs": ("etc/passwd",)},
    "an output that climbs out": {"outputs": (f"nix/store/../{BASE}",)},
    "an output inside of another": {"outputs": (f"nix/store/{BASE}/x",)},
    "another place to work": {"working_dir": "tmp"},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused(name: str, any_sandbox: Sandbox, tmp_path: Path) -> None:
    """They may come over a network; nothing is written anywhere for them."""
    drv = any_sandbox.derivation("echo x >$out")
    request = prepare(any_sandbox.store, any_sandbox.add(drv), drv)
    events = list(any_sandbox.service.build(replace(request, **MALFORMED[name]), threading.Event()))  # type: ignore[arg-type]
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert events[0].why is Why.REFUSED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.5, "0.5"),
        (1e-7, "1e-07"),
        (1e22, "1e+22"),
        (123456789012345.0, "123456789012345.0"),
        (1234567890123456.0, "1.234567890123456e+15"),
        (-1234567890123456.0, "-1.234567890123456e+15"),
        (1e15, "1e+15"),
        ({"b": [None, True], "a": "é\n"}, '{"a":"é\\n","b":[null,true]}'),
    ],
)
def test_json_is_written_as_nix_writes_it(value: Json, text: str) -> None:
    assert dump(value) == text


def test_shell_declarations() -> None:
    declared = shell(
        {"a": "it's", "b": [1, None], "c": {"k": True}, "d": [[1]], "e-f": 1, "g": 1.5, "h": 2.0, "i": 1e300}
    )
    assert declared.splitlines() == [
        "declare a='it'\\''s'",
        "declare -a b=(1 '' )",
        "declare -A c=(['k']=1 )",
        "declare h=2",
        "declare i=-2147483648",
    ]
