"""One process of `benchmarks.compare`: asks the evaluator of this project, and prints each answer as it comes.

    python -m benchmarks.batch look NIXPKGS SYSTEM < paths.json
    python -m benchmarks.batch derivations NIXPKGS SYSTEM FOLDER < paths.json

`paths.json` is a list of attribute paths. Lines on standard output are JSON: `[path, answer, error]`. `derivations`
also writes every derivation that was computed on the way into FOLDER.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from evaluator.builtins.control import deep_force
from evaluator.code.coerce import as_attrs
from evaluator.code.functions import call
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import Attrs, ContextString, force
from evaluator.session import Session
from evaluator.thread import evaluation_thread, stop_collector

QUESTIONS = Path(__file__).with_name("compare.nix")


def plain(value: object) -> object:
    """A value of the language as one of Python's, without string contexts."""
    if isinstance(value, ContextString):
        return value.text
    if isinstance(value, list):
        return [plain(force(item)) for item in value]
    return value if isinstance(value, str | int) else None


def answers(session: Session, function: str, nixpkgs: str, system: str, paths: list[list[str]]) -> None:
    """Prints what `function` of compare.nix answers for each path."""
    arguments: dict[str, object] = {"nixpkgs": nixpkgs, "system": system}
    questions = as_attrs(call(session.import_file(str(QUESTIONS)), Attrs(arguments, None)))
    asked = questions.get(function)
    for path in paths:
        steps: list[object] = list(path)
        answer, error = None, ""
        try:
            answer = plain(deep_force(call(asked, steps)))
        except EvalError as failure:
            error = f"{type(failure).__name__}: {failure.message}" + (f" at {failure.place}" if failure.place else "")
        print(json.dumps([path, answer, error]), flush=True)


def main() -> None:
    what, nixpkgs, system, *rest = sys.argv[1:]
    paths = json.load(sys.stdin)
    session = open_session(Files(), [])

    def work() -> None:
        answers(session, "look", nixpkgs, system, paths)
        if what == "derivations":
            for path, recipe in session.recipes.items():
                Path(rest[0], os.path.basename(path)).write_bytes(recipe.to_bytes())

    stop_collector()
    evaluation_thread(work).join()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
