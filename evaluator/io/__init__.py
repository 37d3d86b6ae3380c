"""The evaluator's only door to the world: files, search path, environment, store."""
