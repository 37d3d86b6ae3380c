"""Whether this process runs the modules that mypyc compiled, or the very same files as plain Python.

`store` and `evaluator` are compiled together into one library, so one decision serves both: importing `store`
makes it before any other module of the two is imported (`evaluator` imports `store` first). It is plain Python when

* nothing was compiled (no C compiler at build time, or built with TVIX_PURE=1);
* the environment says TVIX_PURE=1 now: compiled modules that are there are ignored;
* in a checkout (editable install) a source is newer than its compiled module, which would otherwise hide the edit.

This module is never compiled itself.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, SourceFileLoader

TYPE_CHECKING = False  # importing typing takes longer than all that is done here
if TYPE_CHECKING:
    from typing import Final

COMPILED: Final = "compiled"
PLAIN: Final = "plain Python"

_ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # unresolved, as in the packages' __path__
_PACKAGES: Final = (os.path.join(_ROOT, "evaluator"), os.path.join(_ROOT, "store"))
#: What all compiled modules are in (setup.py); those beside the sources only refer to it.
_LIBRARY: Final = os.path.join(_ROOT, "tvix_lsp__mypyc" + EXTENSION_SUFFIXES[0])
_decided: list[str] = []


def mode() -> str:
    """`COMPILED` or `PLAIN`: what this process runs. The same answer for its whole life."""
    if not _decided:
        _decided.append(_decide())
    return _decided[0]


def _decide() -> str:
    if _is_installed() and os.path.exists(_LIBRARY) and not _unwanted():
        return COMPILED  # without looking at each module, which every command would notice
    modules = _compiled_modules()
    if not modules:
        return PLAIN
    if not _unwanted():
        edited = _edited_since(modules)
        if not edited:
            return COMPILED
        print(f"tvix-lsp: {edited} is newer than its compiled module: running plain Python", file=sys.stderr)
    _ignore_compiled()
    return PLAIN


def _unwanted() -> bool:
    return os.environ.get("TVIX_PURE", "0") not in ("", "0")


def _is_installed() -> bool:
    """Whether this is no checkout, but a copy that nobody edits."""
    return not os.path.exists(os.path.join(_ROOT, "pyproject.toml"))


def _compiled_modules() -> list[str]:
    """Paths of the compiled modules beside their sources that this interpreter could load."""
    suffix = EXTENSION_SUFFIXES[0]
    return [
        os.path.join(folder, name)
        for package in _PACKAGES
        for folder, _, names in os.walk(package)
        for name in names
        if name.endswith(suffix)
    ]


def _edited_since(modules: list[str]) -> str:
    """A source newer than its compiled module, empty if none. An installed copy is never edited: no look."""
    if _is_installed():
        return ""
    suffix = EXTENSION_SUFFIXES[0]
    for module in modules:
        source = module.removesuffix(suffix) + ".py"
        try:
            if os.stat(source).st_mtime > os.stat(module).st_mtime:
                return os.path.relpath(source, _ROOT)
        except FileNotFoundError:
            return os.path.relpath(source, _ROOT)  # the source is gone, so is the module's right to be imported
    return ""


def _is_ours(folder: str) -> bool:
    return any(folder == package or folder.startswith(package + os.sep) for package in _PACKAGES)


def _source_finder(folder: str) -> FileFinder:
    """The import system's hook for one folder: finds sources only in ours, declines all others."""
    if not _is_ours(folder):
        raise ImportError(f"not a folder of ours: {folder}")
    return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))


def _ignore_compiled() -> None:
    sys.path_hooks.insert(0, _source_finder)
    for folder in [folder for folder in sys.path_importer_cache if _is_ours(folder)]:
        del sys.path_importer_cache[folder]
