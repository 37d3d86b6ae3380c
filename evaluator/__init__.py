"""The Nix language: syntax, code, values, builtins, provenance."""

from __future__ import annotations

import store  # noqa: F401  its import decides whether the compiled modules are used, before any is imported
