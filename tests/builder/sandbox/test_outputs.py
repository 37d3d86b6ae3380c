"""What becomes of outputs: fixed hashes, allowed references, paths that follow from contents, second builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.events import Failed, LogLine, Phase, Resources, Started, Why
from builder.oci.runtimes import Runtime
from builder.outputs import NotDeterministic, OutputError, compare
from builder.prepare import resolve
from store.backends.memory import MemoryCastore
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.derivation import Output
from store.hashes import Hasher
from store.store_path import downstream_placeholder
from tests.builder.sandbox.building import Sandbox, opened
from tests.builder.sandbox.nix import Nix


def sha256(data: bytes) -> str:
    hasher = Hasher("sha256")
    hasher.update(data)
    return hasher.finish().base16()


def test_events_of_a_build_in_their_order(any_sandbox: Sandbox) -> None:
    script = (
        r"""echo one; echo '@nix {"action":"setPhase","phase":"buildPhase"}'; printf 'two \377\nthree'; echo x >$out"""
    )
    events = any_sandbox.run(script).events
    assert isinstance(events[0], Started)
    assert events[1:-2] == [LogLine(b"one"), Phase("buildPhase"), LogLine(b"two \xff"), LogLine(b"three")]
    used = events[-2]
    assert isinstance(used, Resources)
    assert used.wall > 0 and used.memory > 0 and used.log > 0


def test_failure_has_the_status_and_the_end_of_the_log(any_sandbox: Sandbox) -> None:
    failed = any_sandbox.run("for i in $(seq 100); do echo line $i; done; exit 7").failed
    assert (failed.why, failed.status) == (Why.EXIT, 7)
    assert failed.tail[-1] == b"line 100" and len(failed.tail) < 50
    assert "exit code 7" in failed.message


def test_builder_that_is_not_there(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("")
    drv.builder = "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-no/bin/no"
    failed = any_sandbox.build(drv).failed
    assert failed.why is Why.EXIT
    assert "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-no/bin/no" in failed.message


def test_builder_killed_by_a_signal(any_sandbox: Sandbox) -> None:
    failed = any_sandbox.run("sh -c 'kill -9 $$'; exit $?").failed
    assert failed.status == 137


def test_statuses_that_no_signal_has_are_exit_codes(any_sandbox: Sandbox) -> None:
    assert "exit code 255" in any_sandbox.run("exit 255").failed.message


def test_other_systems_are_refused(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("echo x >$out", system="riscv64-linux")
    failed = any_sandbox.build(drv).failed
    assert failed.why is Why.REFUSED
    assert "riscv64-linux" in failed.message and "x86_64-linux" in failed.message


def test_fixed_output_with_another_hash_names_both(any_sandbox: Sandbox) -> None:
    fixed = Output("", "sha256", sha256(b"expected\n"))
    with pytest.raises(OutputError) as error:
        any_sandbox.build(any_sandbox.derivation("echo made >$out", outputs={"out": fixed}))
    text = str(error.value)
    assert "specified: sha256-" in text and "got:    sha256-" in text
    assert any_sandbox.store.query(fixed.path) is None


def test_fixed_output_may_refer_to_nothing(any_sandbox: Sandbox) -> None:
    source = any_sandbox.store.add_text("text", b"x").path
    fixed = Output("", "sha256", sha256(source.encode() + b"\n"))
    drv = any_sandbox.derivation("echo $source >$out", {"source": source}, outputs={"out": fixed}, sources={source})
    with pytest.raises(OutputError, match="must not refer to store paths"):
        any_sandbox.build(drv)


def test_fixed_output_that_is_addressed_as_a_text(any_sandbox: Sandbox) -> None:
    fixed = Output("", "text:sha256", sha256(b"made\n"))
    out = any_sandbox.build(any_sandbox.derivation("echo made >$out", outputs={"out": fixed})).out
    assert out.ca is not None and out.ca.startswith("text:sha256:")
    assert out.path == any_sandbox.store.add_text("test", b"made\n").path
    with pytest.raises(OutputError, match="not by sha1"):
        wrong = Output("", "text:sha1", "0" * 40)
        any_sandbox.build(any_sandbox.derivation("echo made >$out", outputs={"out": wrong}))


@pytest.mark.parametrize(
    ("checks", "refused"),
    [
        ({"allowedReferences": ""}, True),
        ({"allowedReferences": "out"}, True),
        ({"allowedReferences": "SOURCE"}, True),
        ({"allowedReferences": "SOURCE out"}, False),
        ({"allowedRequisites": "SOURCE"}, True),
        ({"allowedRequisites": "SOURCE DEEP"}, False),
        ({"disallowedReferences": "SOURCE"}, True),
        ({"disallowedReferences": "DEEP"}, False),
        ({"disallowedRequisites": "DEEP"}, True),
        ({"allowedReferences": "nonsense"}, True),
    ],
)
def test_references_that_are_allowed(checks: dict[str, str], refused: bool, any_sandbox: Sandbox) -> None:
    deep = any_sandbox.store.add_text("deep", b"x").path
    source = any_sandbox.store.add_text("source", deep.encode(), [deep]).path
    env = {name: value.replace("SOURCE", source).replace("DEEP", deep) for name, value in checks.items()}
    drv = any_sandbox.derivation("echo $used $out >$out", {"used": source, **env}, sources={source})
    if refused:
        with pytest.raises(OutputError):
            any_sandbox.build(drv)
        assert any_sandbox.store.query(drv.outputs["out"].path) is None
    else:
        assert any_sandbox.build(drv).out.references == sorted([drv.outputs["out"].path, source])


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ('{"maxSize":100}', "is too large"),
        ('{"maxClosureSize":130}', "closure of path"),
        ('{"allowedReferences":[]}', "not allowed to refer"),
        ('{"maxSize":1000,"allowedReferences":["SOURCE"]}', ""),
        ('{"maxSize":1000.5,"allowedReferences":"SOURCE"}', ""),
        ('{"disallowedReferences":"SOURCE"}', "not allowed to refer"),
        ('{"allowedReferences":[1]}', "must be a list of strings"),
        ('{"maxSize":"100"}', "must be a number of bytes"),
        ('{"maxClosureSize":null}', "must be a number of bytes"),
    ],
)
def test_checks_of_structured_attributes(checks: str, message: str, any_sandbox: Sandbox) -> None:
    source = any_sandbox.store.add_text("source", b"x").path
    text = checks.replace("SOURCE", source)
    script = f'echo {source} >$(grep -o \'"out":"[^"]*\' /build/.attrs.json | cut -d\'"\' -f4)'
    drv = any_sandbox.derivation(script, sources={source})
    drv.env = {"__json": f'{{"outputChecks":{{"out":{text}}}}}'}
    if message:
        with pytest.raises(OutputError, match=message):
            any_sandbox.build(drv)
    else:
        assert any_sandbox.build(drv).out.references == [source]


def test_outputs_that_refer_to_each_other_in_a_circle(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("echo $b >$a; echo $a >$b", outputs={"a": Output(), "b": Output()})
    with pytest.raises(OutputError, match="cycle detected"):
        any_sandbox.build(drv)
    assert [any_sandbox.store.query(output.path) for output in drv.outputs.values()] == [None, None]


def test_second_build_is_compared(any_sandbox: Sandbox) -> None:
    same = any_sandbox.derivation("echo same >$out", name="same")
    built = any_sandbox.build(same)
    compare(any_sandbox.store, built.drv_path, same, any_sandbox.build(same).success)
    other = any_sandbox.derivation("head -c 16 /dev/urandom >$out", name="other")
    first = any_sandbox.build(other)
    again = any_sandbox.build(other)
    assert again.out.nar_sha256 == first.out.nar_sha256, "what is there stays"
    with pytest.raises(NotDeterministic, match=other.outputs["out"].path):
        compare(any_sandbox.store, first.drv_path, other, again.success)
    with pytest.raises(Missing, match="nothing to compare with"):
        compare(CastoreStore(MemoryCastore()), built.drv_path, same, any_sandbox.build(same).success)


def test_failed_build_is_kept_on_demand(any_runtime: Runtime, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with opened(tmp_path / "sandbox", any_runtime, keep_failed=kept) as sandbox:
        failed = sandbox.run("echo half done >work; exit 1").failed
        assert failed.kept is not None
        assert Path(failed.kept).is_relative_to(kept)
        assert (Path(failed.kept) / "work").read_text() == "half done\n"
        assert sandbox.run("echo done >$out").made
    assert len(list(kept.iterdir())) == 1


FLOATING = [
    ("plain", "echo content >$out", {"out"}),
    ("refers to itself", "mkdir $out; echo $out $out >$out/self; ln -s $out/self $out/link", {"out"}),
    ("refers to another output", "echo $lib $out >$out; echo $lib >$lib", {"out", "lib"}),
    ("refers to an input", "echo $source $out >$out", {"out"}),
]


@pytest.mark.parametrize(("name", "script", "outputs"), FLOATING, ids=[case[0] for case in FLOATING])
def test_paths_that_follow_from_contents(
    name: str, script: str, outputs: set[str], any_sandbox: Sandbox, nix: Nix, tmp_path: Path
) -> None:
    """Content-addressed derivations get the paths and archives that Nix gives them."""
    expression = tmp_path / "floating.nix"
    listed = " ".join(f'"{output}"' for output in sorted(outputs, reverse=True))
    expression.write_text(
        'derivation { name = "floating"; system = "x86_64-linux"; builder = "/bin/sh"; __contentAddressed = true; '
        f'outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputs = [ {listed} ]; '
        f'source = builtins.toFile "source" "x"; args = [ "-c" \'\'{script}\'\' ]; }}'
    )
    features = ("--option", "experimental-features", "ca-derivations nix-command")
    drv_path = nix.run("nix-instantiate", str(expression), *features).split()[0].partition("!")[0]
    paths = nix.run("nix-store", "--realise", drv_path, *features).split()
    theirs = nix.hashes(paths)
    nix.give(any_sandbox, drv_path)
    drv = any_sandbox.store.read_derivation(drv_path)
    ours = any_sandbox.build(drv).outputs
    assert {
        info.path: (f"sha256:{info.nar_hash().nix32()}", sorted(info.references)) for info in ours.values()
    } == theirs


def test_what_depends_on_such_a_path_is_resolved(any_sandbox: Sandbox) -> None:
    """Once the path is known, the derivation becomes one whose inputs are just paths."""
    floating = any_sandbox.derivation("echo made >$out", name="made", outputs={"out": Output("", "r:sha256", "")})
    made = any_sandbox.build(floating)
    stands = downstream_placeholder(made.drv_path, "out")
    user = any_sandbox.derivation(
        "cat $made >$out; echo $made >>$out", {"made": stands}, name="user", inputs={made.drv_path: {"out"}}
    )
    any_sandbox.add(user)
    assert user.outputs["out"].path == ""
    resolved = resolve(any_sandbox.store, user, lambda drv_path, output: made.outputs[output].path)
    built = any_sandbox.build(resolved)
    assert any_sandbox.read(built.out) == b"made\n" + made.out.path.encode() + b"\n"
    assert built.out.references == [made.out.path]


def test_failed_is_plain_data(any_sandbox: Sandbox) -> None:
    assert any_sandbox.run("exit 1").failed == Failed(Why.EXIT, "builder failed with exit code 1", 1)
