"""`benchmarks.compare` names what differs between two derivation graphs, not that hashes differ."""

from __future__ import annotations

from benchmarks.derivation_difference import Difference, first_difference
from store.derivation import Derivation, DerivationHashes, Output
from store.store_path import source_path


class Graph:
    """Derivations by path, instantiated one after another."""

    def __init__(self) -> None:
        self.recipes: dict[str, Derivation] = {}
        self._hashes = DerivationHashes()

    def add(self, name: str, env: dict[str, str], inputs: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> str:
        outputs = {path: {"out"} for path in inputs}
        values = {**env, **{f"in{at}": self.recipes[path].outputs["out"].path for at, path in enumerate(inputs)}}
        drv = Derivation(name, {"out": Output()}, outputs, set(sources), "s", "/bin/sh", ["-c", "true"], values)
        path = self._hashes.instantiate(drv)
        self.recipes[path] = drv
        return path


def difference(ours: tuple[Graph, str], theirs: tuple[Graph, str]) -> Difference | None:
    return first_difference(ours[1], theirs[1], ours[0].recipes.__getitem__, theirs[0].recipes.__getitem__)


def chain(leaf: dict[str, str], sources: tuple[str, ...] = (), name: str = "leaf") -> tuple[Graph, str]:
    graph = Graph()
    first = graph.add(name, leaf, (), sources)
    same = graph.add("same", {"x": "y"})
    return graph, graph.add("top", {"a": "b"}, (graph.add("middle", {}, (first,)), same))


def test_equal_graphs() -> None:
    assert difference(chain({"a": "b"}), chain({"a": "b"})) is None


def test_an_attribute_far_below() -> None:
    found = difference(chain({"a": "x" * 500 + "1" + "tail"}), chain({"a": "x" * 500 + "2" + "tail"}))
    assert found is not None
    assert found.chain == ["top", "middle", "leaf"]
    assert found.what == "env.a"
    assert "x1tail" in found.ours
    assert "x2tail" in found.theirs
    assert len(found.ours) < 200


def test_an_attribute_that_is_missing() -> None:
    found = difference(chain({}), chain({"a": "b"}))
    assert found is not None
    assert (found.what, found.ours, found.theirs) == ("env.a", "'(absent)'", "'b'")


def test_the_content_of_a_source() -> None:
    sources = [source_path("src", digit * 64) for digit in "01"]
    found = difference(*(chain({"src": path}, (path,)) for path in sources))
    assert found is not None
    assert found.chain == ["top", "middle", "leaf"]
    assert found.what == "env.src"
    assert sources[0] in found.ours
    assert sources[1] in found.theirs


def test_another_input() -> None:
    found = difference(chain({}, name="one"), chain({}, name="two"))
    assert found is not None
    assert found.chain == ["top", "middle"]
    assert "one" in found.ours
    assert "two" in found.theirs
    assert "env.in0" in str(found)
