"""The built-in functions, one family a module; ``install`` puts them together for a session."""
