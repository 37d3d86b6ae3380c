"""Data classes that cost next to nothing to define: what is used here of :mod:`dataclasses`, spelled the same.

Commands that run for a tenth of a second notice what they load. The standard library's module loads ``inspect`` and
what that needs (10 ms here) and compiles six functions for each class (half a millisecond); these share theirs. Making
an object takes about a microsecond more.

Supported: defaults, ``field(default_factory=…)``, ``frozen``, inheritance, ``replace``, ``fields``, ``asdict``. Two
objects are equal when they are of the same class and all their fields are; frozen ones have a hash. ``slots`` is
accepted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

_FIELDS = "__record_fields__"


class _Factory:
    """Stands in a class for a default that is made anew for each object."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


class _Missing:
    """No default."""


def field(*, default_factory: Callable[[], T]) -> T:
    """The default of a field that ``default_factory`` makes for each object."""
    made: Any = _Factory(default_factory)
    return made  # type: ignore[no-any-return]


@overload
def dataclass(cls: type[T], /) -> type[T]: ...
@overload
def dataclass(*, frozen: bool = False, slots: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def dataclass(cls: Any = None, /, *, frozen: bool = False, slots: bool = False) -> Any:
    """Give a class ``__init__``, ``__repr__``, ``__eq__`` by its annotations; if ``frozen`` a hash, too."""

    def decorate(made: type[T]) -> type[T]:
        return _prepared(made, frozen)

    return decorate if cls is None else decorate(cls)


def replace(record: T, **changes: Any) -> T:
    """The same with some fields changed."""
    for name in getattr(record, _FIELDS):
        changes.setdefault(name, getattr(record, name))
    return type(record)(**changes)


def fields(record: object) -> tuple[str, ...]:
    """The names of a record's fields."""
    return tuple(getattr(record, _FIELDS))


def asdict(record: object) -> dict[str, Any]:
    """A record as plain data, records inside of it, too."""
    return {name: _plain(getattr(record, name)) for name in fields(record)}


def _plain(value: object) -> Any:
    if hasattr(value, _FIELDS):
        return asdict(value)
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _prepared(made: type[T], frozen: bool) -> type[T]:
    known: dict[str, object] = dict(getattr(made, _FIELDS, {}))
    own = made.__dict__
    for name, kind in own.get("__annotations__", {}).items():
        if not str(kind).startswith("ClassVar"):
            known[name] = own.get(name, _Missing)
            if isinstance(known[name], _Factory):
                delattr(made, name)
    setattr(made, _FIELDS, known)
    _set_unless_own(made, "__init__", _initialiser(known, "__post_init__" in own))
    _set_unless_own(made, "__repr__", _repr)
    if "__eq__" not in own:
        made.__eq__ = _eq  # type: ignore[method-assign]
        if "__hash__" not in own:
            made.__hash__ = _hash if frozen else None  # type: ignore[assignment, method-assign]
    if frozen:
        made.__setattr__ = _refuse  # type: ignore[method-assign]
        made.__delattr__ = _refuse  # type: ignore[method-assign]
    return made


def _set_unless_own(made: type[Any], name: str, function: object) -> None:
    if name not in made.__dict__:
        setattr(made, name, function)


def _initialiser(known: dict[str, object], after: bool) -> Callable[..., None]:
    names = tuple(known)

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes {len(names)} arguments, not {len(args)}")
        values = self.__dict__
        values.update(zip(names, args, strict=False))
        for name in names[len(args) :]:
            if name in given:
                values[name] = given.pop(name)
                continue
            default = known[name]
            if default is _Missing:
                raise TypeError(f"{type(self).__name__} lacks the argument '{name}'")
            values[name] = default.make() if isinstance(default, _Factory) else default
        if given:
            raise TypeError(f"{type(self).__name__} got what it does not take, or twice: {', '.join(given)}")
        if after:
            self.__post_init__()

    return __init__


def _values(record: object) -> list[object]:
    return [getattr(record, name) for name in getattr(record, _FIELDS)]


def _repr(self: object) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in getattr(self, _FIELDS))
    return f"{type(self).__name__}({shown})"


def _eq(self: object, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash((type(self), *_values(self)))


def _refuse(self: object, name: str, *_: object) -> None:
    raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be changed")
