"""What this installation is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from store.compiled import mode


def number() -> str:
    """The version alone, empty when this is not installed."""
    try:
        return version("tvix-lsp")
    except PackageNotFoundError:
        return ""


def describe() -> str:
    """Version, how the evaluator runs, and the Python under it: "0.1.0 (compiled, Python 3.11.2)"."""
    import platform

    return f"{number() or '(not installed)'} ({mode()}, Python {platform.python_version()})"
