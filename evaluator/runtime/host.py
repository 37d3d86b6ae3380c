"""What evaluated code asks of whoever has it run; :class:`evaluator.session.Session` is the host."""

from __future__ import annotations


class Host:
    """What lies outside of code and values: the files, the store and the user.

    Only what is asked from below is here. What stands above it knows the session itself.
    """

    def home(self) -> str:
        """The user's home directory, for ``~/`` paths."""
        raise NotImplementedError

    def find_file(self, name: str) -> str:
        """The path that ``<name>`` means. Raises EvalError (catchable, as in Nix) when the search path lacks it."""
        raise NotImplementedError

    def store_path_of(self, path: str, name: str = "") -> str:
        """The store path that a file or folder gets when it is copied to the store; nothing is written.

        ``name`` is that of the store object, by default the path's last component. Raises EvalError.
        """
        raise NotImplementedError

    def need(self, text: str, context: frozenset[str]) -> str:
        """Makes sure that the store paths of a string with context can be read; answers its text.

        What stands in it for outputs that nobody knew the paths of is replaced by these. Raises EvalError, Unrealised
        among them.
        """
        raise NotImplementedError
