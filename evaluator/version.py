"""What this installation is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from store.compiled import mode


def describe() -> str:
    """Version, how the evaluator runs, and the Python under it: "0.1.0 (compiled, Python 3.11.2)"."""
    import platform

    try:
        number = version("tvix-lsp")
    except PackageNotFoundError:
        number = "(not installed)"
    return f"{number} ({mode()}, Python {platform.python_version()})"
