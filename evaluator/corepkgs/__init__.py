"""Nix files that belong to the language: what ``<nix/…>`` finds when the search path has no such entry."""

import os

FOLDER = os.path.dirname(os.path.abspath(__file__))
