"""Measurements that anyone can repeat: `python -m benchmarks.hello`, `python -m benchmarks.editor`.

Figures mean something only side by side on one machine in one run, so everything is a ratio to C++ Nix or a
percentile, and what is compared takes turns.
"""
