"""What JSON and XML are made of beyond what an expression alone can show: files, bytes, places, unforced values."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.builtins.json import to_json
from evaluator.builtins.xml import to_xml
from evaluator.io.files import Files
from evaluator.opening import open_session
from tests.evaluator.evaluating import evaluate


def test_xml_tells_where_attributes_and_functions_stand(tmp_path: Path) -> None:
    file = tmp_path / "example.nix"
    file.write_text("{\n  f = { a, ... }@all: a;\n  b.c = 1;\n}\n")
    session = open_session(Files())
    document = to_xml(session, session.import_file(str(file)), True)
    assert document.split("\n") == [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<expr>",
        "  <attrs>",
        f'    <attr column="3" line="3" name="b" path="{file}">',
        "      <attrs>",
        f'        <attr column="5" line="3" name="c" path="{file}">',
        '          <int value="1" />',
        "        </attr>",
        "      </attrs>",
        "    </attr>",
        f'    <attr column="3" line="2" name="f" path="{file}">',
        f'      <function column="7" line="2" path="{file}">',
        '        <attrspat ellipsis="1" name="all">',
        '          <attr name="a" />',
        "        </attrspat>",
        "      </function>",
        "    </attr>",
        "  </attrs>",
        "</expr>",
        "",
    ]


def test_xml_that_is_not_strict_evaluates_nothing() -> None:
    session = open_session(Files())
    value = session.expression('{ a = throw "never"; d = { b = throw "never"; }.b; }', "/")
    document = to_xml(session, value, False, strict=False)
    assert document.count("<unevaluated />") == 2


def test_json_is_one_line_without_contexts() -> None:
    session = open_session(Files())
    value = session.expression('{ b = [ 1 "x" ]; a = derivation { name = "n"; system = "s"; builder = "b"; }; }', "/")
    assert to_json(session, value) == '{"a":"/nix/store/8qwygm88qsiwpdycf5hhk51zjbh3kgaa-n","b":[1,"x"]}'


@pytest.mark.parametrize("text", [b'"\xff"', b'{"a": "\xc3"}', b"\xff"])
def test_json_that_is_no_utf8_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "text.json").write_bytes(text)
    answer = evaluate("builtins.fromJSON (builtins.readFile ./text.json)", str(tmp_path))
    assert answer.message == "invalid JSON: the text is not valid UTF-8"


def test_json_cannot_hold_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xffb")
    answer = evaluate("builtins.toJSON { x = builtins.readFile ./bytes; }", str(tmp_path))
    assert answer.message == (
        "JSON serialization error: [json.exception.type_error.316] invalid UTF-8 byte at index 1: 0xFF"
    )
    assert evaluate("builtins.stringLength (builtins.toXML (builtins.readFile ./bytes))", str(tmp_path)).value == "79"


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert evaluate("builtins.fromJSON (builtins.readFile ./text.json)", str(tmp_path)).value == "[ 1 ]"


def test_fetch_tree_of_a_local_path_is_its_store_path(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("hello\n")
    expression = (
        'let t = builtins.fetchTree { type = "path"; path = toString ./tree; lastModified = 5; }; in '
        '[ (t.outPath == "${builtins.path { name = "source"; path = ./tree; }}") t.lastModifiedDate t.narHash ]'
    )
    assert evaluate(expression, str(tmp_path)).value == (
        '[ true "19700101000005" "sha256-m/i4zIJHKRtapNnPwNUoFromRkwfucNCdbqZ1oxSjWo=" ]'
    )
