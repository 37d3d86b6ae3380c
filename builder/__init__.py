"""Derivation to outputs: build requests, runtimes, scheduling."""
