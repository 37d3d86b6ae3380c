"""Sets have several forms inside (see ``Attrs``); whichever they take, they are what plain dicts would be."""

from __future__ import annotations

import json
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.io.files import Files
from evaluator.opening import open_session
from tests.evaluator.evaluating import evaluate

Model = dict[str, object]

NAMES: Final = [f"n{number}" for number in range(12)]
#: Sizes of sets made by ``genList``: below and above those from which sets are layered and mapped lazily.
SIZES: Final = [0, 3, 20, 40, 200, 1000]

names = st.lists(st.sampled_from(NAMES), unique=True, max_size=6)
steps = st.one_of(
    st.tuples(st.just("literal"), names),
    st.tuples(st.just("recursive"), names),
    st.tuples(st.just("inherited"), names),
    st.tuples(st.just("computed"), names),
    st.tuples(st.just("large"), st.sampled_from(SIZES)),
    st.tuples(st.just("update"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("map"), st.integers(0, 50)),
    st.tuples(st.just("remove"), st.integers(0, 50), names),
    st.tuples(st.just("intersect"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("look"), st.integers(0, 50), st.sampled_from([*NAMES, "n30", "n150"])),
    st.tuples(st.just("names"), st.integers(0, 50)),
)


class Program:
    """A chain of sets as Nix text, and what each of them must be."""

    def __init__(self) -> None:
        self.bindings: list[str] = ["s0 = { n0 = 0; };"]
        self.sets: list[Model] = [{"n0": 0}]
        self.looks: list[str] = []
        self.seen: list[object] = []

    def add(self, step: tuple[object, ...]) -> None:
        count = len(self.sets)
        kind, *rest = step
        numbers = [item % count if isinstance(item, int) and kind != "large" else item for item in rest]
        first, second = [*numbers, None][:2]
        if kind == "look":
            assert isinstance(first, int) and isinstance(second, str)
            self.looks.append(f"(s{first}.{second} or null)")
            self.seen.append(self.sets[first].get(second))
            return
        if kind == "names":
            assert isinstance(first, int)
            self.looks.append(f"(builtins.attrNames s{first})")
            self.seen.append(sorted(self.sets[first]))
            return
        text, model = self.made(str(kind), first, second)
        self.bindings.append(f"s{count} = {text};")
        self.sets.append(model)

    def made(self, kind: str, first: object, second: object) -> tuple[str, Model]:
        mark = len(self.sets) * 1000
        if kind in ("literal", "recursive", "inherited", "computed"):
            assert isinstance(first, list)
            model: Model = {name: mark + at for at, name in enumerate(first)}
            bound = [f"{name} = {value};" for name, value in model.items()]
            if kind == "inherited":
                return f"let source = {{ {' '.join(bound)} }}; in {{ inherit (source) {' '.join(model)}; }}", model
            if kind == "computed":
                return "{ " + " ".join(f'${{"{name}"}} = {value};' for name, value in model.items()) + " }", model
            return ("rec " if kind == "recursive" else "") + "{ " + " ".join(bound) + " }", model
        if kind == "large":
            made = f"(n: {{ name = ''n${{toString n}}''; value = {mark} + n; }})"
            assert isinstance(first, int)
            return f"builtins.listToAttrs (builtins.genList {made} {first})", {f"n{n}": mark + n for n in range(first)}
        assert isinstance(first, int)
        left = self.sets[first]
        if kind == "map":
            return f"builtins.mapAttrs (name: value: [ name value ]) s{first}", {n: [n, v] for n, v in left.items()}
        if kind == "remove":
            assert isinstance(second, list)
            gone = " ".join(f'"{name}"' for name in second)
            return f"removeAttrs s{first} [ {gone} ]", {n: v for n, v in left.items() if n not in second}
        assert isinstance(second, int)
        right = self.sets[second]
        if kind == "update":
            return f"s{first} // s{second}", left | right
        return f"builtins.intersectAttrs s{first} s{second}", {n: v for n, v in right.items() if n in left}

    def text(self) -> str:
        looked = " ".join(self.looks)
        every = " ".join(f"s{number}" for number in range(len(self.sets)))
        # What is looked at is forced before the sets are shown as wholes: a look changes their forms.
        looks = f"seen = [ {looked} ]; in"
        return f"let {' '.join(self.bindings)} {looks} builtins.toJSON [ (builtins.deepSeq seen seen) {every} ]"


def shown(text: str) -> object:
    answer = evaluate(text, "/")
    assert answer.value is not None, answer.message
    return json.loads(json.loads(answer.value))


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=25))
def test_sets_of_all_forms_are_what_dicts_would_be(chosen: list[tuple[object, ...]]) -> None:
    program = Program()
    for step in chosen:
        program.add(step)
    assert shown(program.text()) == [program.seen, *program.sets]


LARGE: Final = "builtins.listToAttrs (builtins.genList (n: { name = ''n${toString n}''; value = 1; }) 500)"


def test_a_function_mapped_over_a_large_set_is_called_once_for_each_attribute() -> None:
    session = open_session(Files())
    traced: list[str] = []
    session.trace_output = traced
    mapped = f"let m = builtins.mapAttrs (n: v: builtins.trace n v) ({LARGE}); in"
    assert evaluate(f"{mapped} m ? n7 && !(m ? n500)", "/", session).value == "true"
    assert not traced
    looked = "m.n7 + m.n7 + (m // { x = 1; }).n7 + builtins.foldl' (a: b: a + b) 0 (builtins.attrValues m) + m.n7"
    assert evaluate(f"{mapped} {looked}", "/", session).value == "504"
    assert len(traced) == len(set(traced)) == 500


def test_many_updates_and_maps_in_a_row() -> None:
    step = "s: n: builtins.mapAttrs (_: v: v + 1) (s // { ${''x${toString n}''} = 0; })"
    over = f"builtins.foldl' ({step}) ({LARGE}) (builtins.genList (n: n) 300)"
    assert evaluate(f"({over}).n499", "/").value == "301"
    assert evaluate(f"({over}).x100", "/").value == "200"
