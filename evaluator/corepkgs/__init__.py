"""Nix files that belong to the language: what ``<nix/…>`` finds when the search path has no such entry."""

from pathlib import Path

FOLDER = str(Path(__file__).resolve().parent)
