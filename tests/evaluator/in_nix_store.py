"""Evaluates where Nix keeps a store; :mod:`tests.evaluator.test_nix_store` runs it in a namespace of its own.

    python -m tests.evaluator.in_nix_store FOLDER read-only|read-write EXPRESSION…

prints a JSON list with the value of each expression as JSON, or ``{"error": MESSAGE}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evaluator.builtins.control import deep_force
from evaluator.builtins.json import to_json
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError
from evaluator.stores.access import LocalAccess
from evaluator.thread import evaluation_thread
from tests.evaluator.plain_builds import PlainRealiser


def answer(folder: Path, writes: bool, expression: str) -> object:
    """The value of an expression in a session of its own, whose store is below ``folder``."""
    access = LocalAccess(f"local:{folder}/store", writes, {})
    try:
        session = open_session(Files(), [], "x86_64-linux")
        access.serve(session)
        if writes:
            access.build_with(PlainRealiser(access.castore, folder / "builds"))
        value = deep_force(session.expression(expression, "/"), session)
        return json.loads(to_json(session, value))
    except EvalError as error:
        return {"error": error.message}
    finally:
        access.close()


def main() -> None:
    folder, mode, *expressions = sys.argv[1:]
    found: list[object] = []

    def work() -> None:
        found.extend(answer(Path(folder), mode == "read-write", each) for each in expressions)

    evaluation_thread(work).join()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
