from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import derivation as d
from store import drv_file
from store import store_path as sp
from store.aterm import ATermError, sorted_by_bytes
from store.derivation import Derivation, DerivationError, DerivationHashes, Output

# What Nix 2.8 wrote: for cases.nix beside them, and for the first steps of nixpkgs' bootstrap.
FROZEN = sorted((Path(__file__).parents[1] / "data" / "drv").rglob("*.drv"))
STORED = {"/nix/store/" + file.name: file.read_bytes() for file in FROZEN}


def load(path: str) -> Derivation:
    return drv_file.parse(STORED[path], sp.name_of(path).removesuffix(".drv"))


def by_name(name: str) -> str:
    [path] = [path for path in STORED if sp.name_of(path) == name + ".drv"]
    return path


def blank(drv: Derivation) -> Derivation:
    """The same before its paths were filled in."""
    outputs = {name: Output("", output.method_algo, output.hash) for name, output in drv.outputs.items()}
    env = {name: "" if name in outputs else value for name, value in drv.env.items()}
    return Derivation(drv.name, outputs, drv.input_drvs, drv.input_srcs, drv.system, drv.builder, drv.args, env)


def make(name: str = "x", outputs: dict[str, Output] | None = None) -> Derivation:
    return Derivation(name, outputs or {"out": Output()}, {}, set(), "x86_64-linux", "/bin/sh", [], {"name": name})


def test_there_is_something_to_test() -> None:
    assert len(FROZEN) >= 38


@pytest.mark.parametrize("path", STORED, ids=sp.name_of)
def test_what_nix_wrote_is_read_and_written_byte_for_byte(path: str) -> None:
    drv = load(path)
    assert drv.to_bytes() == STORED[path]
    assert drv.path() == path


@pytest.mark.parametrize("path", STORED, ids=sp.name_of)
def test_output_paths_are_those_of_nix(path: str) -> None:
    DerivationHashes(load=load).check_paths(load(path))
    drv = blank(load(path))
    hashes = DerivationHashes(load=load)
    assert hashes.instantiate(drv) == path
    assert drv.to_bytes() == STORED[path]


def test_instantiating_in_order_needs_no_store() -> None:
    hashes = DerivationHashes()
    pending = list(STORED)
    while pending:
        path = pending.pop(0)
        drv = blank(load(path))
        if any(input in pending for input in drv.input_drvs):
            pending.append(path)
        else:
            assert hashes.instantiate(drv) == path


def test_published_derivation() -> None:
    """ "Nix Pills", chapter 18."""
    source = "/nix/store/xv2iccirbrvklck36f1g7vldn5v58vck-myfile"
    env = {"builder": source, "name": "foo", "system": "x86_64-linux"}
    drv = Derivation("foo", {"out": Output()}, {}, {source}, "x86_64-linux", source, [], env)
    assert DerivationHashes().instantiate(drv) == "/nix/store/y4h73bmrc9ii5bxg6i7ck6hsf5gqv8ck-foo.drv"
    assert drv.env["out"] == drv.outputs["out"].path == "/nix/store/hs0yi5n5nw6micqhy8l1igkbhqdkzqa1-foo"


def test_unknown_outputs_stand_as_placeholders_downstream() -> None:
    floating = by_name("floating")
    env = load(by_name("after-floating")).env
    assert load(floating).kind() == d.FLOATING
    assert env["floating"] == sp.downstream_placeholder(floating, "out")
    assert env["dev"] == sp.downstream_placeholder(floating, "dev")
    deferred = load(by_name("after-after-floating"))
    assert deferred.env["input"] == sp.downstream_placeholder(by_name("after-floating"), "out")
    assert (deferred.kind(), deferred.outputs["out"].path) == (d.INPUT_ADDRESSED, "")
    hashes = DerivationHashes(load=load)
    assert hashes.modulo(by_name("after-after-floating")).deferred
    assert not hashes.modulo(by_name("minimal")).deferred
    deferred.outputs["out"].path = sp.output_path(deferred.name, "out", "0" * 64)
    with pytest.raises(DerivationError, match="before it can be known"):
        hashes.check_paths(deferred)


def test_two_ways_to_fetch_the_same_are_one_input() -> None:
    user = load(by_name("mirrored-user"))
    assert len(user.input_drvs) == 2
    hashes = DerivationHashes(load=load)
    assert len({str(hashes.modulo(path).hashes) for path in user.input_drvs}) == 1


def test_a_wrong_path_is_told() -> None:
    for name in ["minimal", "flat-md5"]:
        drv = load(by_name(name))
        right = drv.outputs["out"].path
        drv.outputs["out"].path = wrong = right.replace("/nix/store/", "/nix/store/0")
        with pytest.raises(DerivationError) as caught:
            DerivationHashes().check_paths(drv)
        assert str(caught.value) == f"derivation '{name}' has incorrect output '{wrong}', should be '{right}'"


def test_the_chain_of_inputs_may_be_deeper_than_the_stack() -> None:
    chain: dict[str, Derivation] = {}
    hashes = DerivationHashes()
    last = ""
    for number in range(3000):
        drv = make(f"step-{number}")
        if last:
            drv.input_drvs[last] = {"out"}
        last = hashes.instantiate(drv)
        chain[last] = drv
    assert DerivationHashes(load=chain.__getitem__).modulo(last).hashes == hashes.modulo(last).hashes


def test_inputs_that_cannot_be_are_refused() -> None:
    drv = make()
    drv.input_drvs["/nix/store/none.drv"] = {"out"}
    with pytest.raises(DerivationError, match=r"derivation '/nix/store/none\.drv' is not known"):
        DerivationHashes().instantiate(drv)
    known = by_name("minimal")
    drv.input_drvs = {known: {"lib"}}
    with pytest.raises(DerivationError, match=f"derivation '{known}' does not have an output named 'lib'"):
        DerivationHashes(load=load).instantiate(drv)
    drv.input_drvs = {"/nix/store/self.drv": {"out"}}
    with pytest.raises(DerivationError, match=r"'/nix/store/self\.drv' depends on itself"):
        DerivationHashes(load=lambda path: drv).modulo("/nix/store/self.drv")


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ({"out": Output("", "sha256", "00"), "dev": Output("", "sha256", "00")}, "only one fixed output"),
        ({"lib": Output("", "sha256", "00")}, 'single fixed output must be named "out"'),
        ({"out": Output("", "sha256", ""), "dev": Output()}, "can't mix derivation output types"),
        ({"out": Output("", "sha256", ""), "dev": Output("", "sha256", "impure")}, "can't mix"),
    ],
)
def test_outputs_that_do_not_go_together_are_refused(outputs: dict[str, Output], complaint: str) -> None:
    with pytest.raises(DerivationError, match=complaint):
        DerivationHashes().instantiate(make(outputs=outputs))
    with pytest.raises(DerivationError, match="at least one output"):
        Derivation("x", {}, {}, set(), "", "", [], {}).kind()


def test_an_impossible_name_is_refused() -> None:
    with pytest.raises(sp.BadStorePath, match=r"a b' contains illegal character ' '"):
        DerivationHashes().instantiate(make("a b"))


# Bytes that are no UTF-8 are in the texts too; a str must not hold halves that would join to UTF-8, hence the detour.
texts = st.binary(max_size=12).map(sp.to_text) | st.text(alphabet='a\\"\n\r\tné￿😀', max_size=8)
paths = texts.map(lambda text: "/" + text)
drvs = st.builds(
    Derivation,
    st.just("x"),
    st.dictionaries(
        texts, st.builds(Output, st.just("") | paths, st.just("") | st.just("r:sha1"), st.just("")), min_size=1
    ),
    st.dictionaries(paths, st.sets(texts, max_size=3), max_size=3),
    st.sets(paths, max_size=3),
    texts,
    texts,
    st.lists(texts, max_size=3),
    st.dictionaries(texts, texts, max_size=4),
)


def unescaped(path: str) -> str:
    """Without what the format escapes; what remains is read anew, for halves that now join to UTF-8."""
    return sp.to_text(sp.to_bytes(path.translate(str.maketrans("", "", '\\"\n\r\t'))))


@given(drvs)
def test_parse_undoes_writing(drv: Derivation) -> None:
    # Paths and algorithms never need escapes; these do not either where Nix would have refused them.
    for output in drv.outputs.values():
        output.path = unescaped(output.path)
    drv.input_drvs = {unescaped(path): outputs for path, outputs in drv.input_drvs.items()}
    drv.input_srcs = {unescaped(path) for path in drv.input_srcs}
    written = drv.to_bytes()
    read = drv_file.parse(written, "x")
    assert read.to_bytes() == written
    assert read == drv
    assert (read.args, read.env, read.input_drvs) == (drv.args, drv.env, drv.input_drvs)


@given(st.lists(texts))
def test_sorted_by_bytes(some: list[str]) -> None:
    assert sorted_by_bytes(some) == sorted(some, key=sp.to_bytes)


SMALL = STORED[by_name("uses-several")]


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_damage_is_read_or_refused_but_never_anything_else(at: int, damage: bytes, cut: int) -> None:
    data = SMALL[:at] + damage + SMALL[at + cut :]
    try:
        drv = drv_file.parse(data, "x")
    except ATermError as refusal:
        assert 0 <= refusal.offset <= len(data)
    else:
        assert drv_file.parse(drv.to_bytes(), "x") == drv


@pytest.mark.parametrize("length", range(0, len(SMALL), 7))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(ATermError, match="error parsing derivation"):
        drv_file.parse(SMALL[:length], "x")


TAIL = b',"s","b",[],[])'


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", r"expected string 'Derive\(\['"),
        (b'DrvWithVersion("xp-dyn-drv",[],[],[]' + TAIL, r"expected string 'Derive\(\['"),
        (b"Derive([],[],[]" + TAIL + b"\n", "expected the end"),
        (b'Derive([],[],["relative"]' + TAIL, "bad path 'relative' in derivation"),
        (b'Derive([],[("relative",[])],[]' + TAIL, "bad path 'relative'"),
        (b'Derive([("out","relative","","")],[],[]' + TAIL, "bad path 'relative'"),
        (b'Derive([("out","","",""),("out","","","")],[],[]' + TAIL, "output 'out' twice"),
        (b'Derive([],[("/a",[]),("/a",[])],[]' + TAIL, "input derivation '/a' twice"),
        (b'Derive([],[],[],"s","b",[],[("a","1"),("a","2")])', "environment variable 'a' twice"),
        (b'Derive([],[],["/a""/b"]' + TAIL, "expected ',' or '\\]'"),
        (b'Derive([],[],["/a",]' + TAIL, "expected a string"),
        (b'Derive([],[],[,"/a"]' + TAIL, "expected a string"),
        (b'Derive([],[],[], "s","b",[],[])', "expected a string"),
        (b'Derive([],[],[],"s","b",["\\"],[])', "expected"),
    ],
)
def test_refusals_say_what_was_expected(data: bytes, complaint: str) -> None:
    with pytest.raises(ATermError, match=complaint):
        drv_file.parse(data, "x")


def test_unneeded_escapes_are_read_as_nix_reads_them() -> None:
    drv = drv_file.parse(rb'Derive([],[],[],"\s","\b",["\a\\n\n"],[])', "x")
    assert (drv.system, drv.builder, drv.args) == ("s", "b", ["a\\n\n"])
