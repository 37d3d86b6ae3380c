"""Reading ``.drv`` files. Writing one is :meth:`store.derivation.Derivation.to_bytes`.

Specification: see :mod:`store.derivation`. The order of what is a set does not matter to the reader; a name that
stands twice, a relative path, and anything before or after the one derivation are refused.
"""

from __future__ import annotations

from store import aterm
from store.derivation import Derivation, Output


def parse(data: bytes, name: str) -> Derivation:
    """The derivation that a ``.drv`` file holds; ``name`` comes from its path (``store_path.name_of`` less ``.drv``).

    Raises :class:`store.aterm.ATermError` for anything that is not exactly one well-formed derivation.
    """
    reader = aterm.Reader(data)
    reader.expect("Derive([")
    outputs: dict[str, Output] = {}
    while reader.more():
        reader.expect("(")
        output = reader.string()
        if output in outputs:
            raise reader.error(f"output '{output}' twice")
        reader.expect(",")
        path = reader.string()
        if path and not path.startswith("/"):
            raise reader.error(f"bad path '{path}' in derivation")
        reader.expect(",")
        method_algo = reader.string()
        reader.expect(",")
        outputs[output] = Output(path, method_algo, reader.string())
        reader.expect(")")
    reader.expect(",[")
    input_drvs: dict[str, set[str]] = {}
    while reader.more():
        reader.expect("(")
        drv_path = reader.path()
        if drv_path in input_drvs:
            raise reader.error(f"input derivation '{drv_path}' twice")
        reader.expect(",[")
        input_drvs[drv_path] = set(reader.strings())
        reader.expect(")")
    reader.expect(",[")
    input_srcs: set[str] = set()
    while reader.more():
        input_srcs.add(reader.path())
    reader.expect(",")
    system = reader.string()
    reader.expect(",")
    builder = reader.string()
    reader.expect(",[")
    args = reader.strings()
    reader.expect(",[")
    env: dict[str, str] = {}
    while reader.more():
        reader.expect("(")
        variable = reader.string()
        if variable in env:
            raise reader.error(f"environment variable '{variable}' twice")
        reader.expect(",")
        env[variable] = reader.string()
        reader.expect(")")
    reader.expect(")")
    reader.end()
    return Derivation(name, outputs, input_drvs, input_srcs, system, builder, args, env)
