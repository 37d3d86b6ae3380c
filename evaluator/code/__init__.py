"""Executable nodes: what a syntax tree is lowered to."""
