"""What ``tvix-eval`` prints: one text for each value, tree or path that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

from evaluator.command import asking
from evaluator.command.flags import Options
from evaluator.entry import apply_arguments, select_path
from evaluator.io.files import Files, ParsedFile, syntax_fault
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.printer import show
from evaluator.runtime.source import Place, SourceFile
from evaluator.runtime.values import Attrs, Thunk
from evaluator.session import Session
from evaluator.stores.access import LocalAccess
from evaluator.syntax.parser import parse


def answers(options: Options, files: Files, only: bool = False) -> Iterator[str]:
    """The texts to print, each with the newline that belongs to it, as they become known. Raises EvalError.

    ``only``: the process ends after it, and leaves the store as it is. Closing its database's last connection would
    write the log back, which takes the disk as long as a build and can wait until more has come together.
    """
    access = LocalAccess(options.store, options.writes(), options.settings)
    try:
        yield from _answers(options, asking.new_session(options, files, access), access)
    finally:
        if not only:
            access.close()


def _answers(options: Options, session: Session, access: LocalAccess) -> Iterator[str]:
    session.keeps_trees = options.doing == "origin"
    if options.doing == "find-file":
        for name in options.operands:
            yield session.find_file(name) + "\n"
    elif options.doing == "parse":
        yield from _trees(options, session)
    elif options.doing == "origin":
        from evaluator.command.origins import origins

        yield from origins(options, session)
    else:
        given = asking.arguments(options, session)
        for root in asking.roots(options, session):
            for path in options.attributes or [""]:
                value = select_path(root, path, given)
                if options.doing == "instantiate":
                    yield from _instantiated(session, value, given, access)
                else:
                    text = printed(options, session, apply_arguments(value, given) if given.items else value)
                    if access.writes:
                        access.write_everything(session)
                    yield text


def _instantiated(session: Session, value: object, given: Attrs, access: LocalAccess) -> Iterator[str]:
    from evaluator.command.derivations import derivations, instantiated

    # All are found before the first is printed, as in Nix: an error on the way leaves nothing printed.
    found = list(derivations(value, given))
    named: list[str] = []
    fault: EvalError | None = None
    for derivation in found:
        try:
            named.append(instantiated(session, derivation))
        except EvalError as error:
            fault = error
            break
    if access.writes and named:
        access.write(session, [name.partition("!")[0] for name in named])
    for name in named:
        yield name + "\n"
    if fault is not None:
        raise fault


def printed(options: Options, session: Session, value: object) -> str:
    """A forced value in the form that was asked for."""
    if options.form == "json":
        from evaluator.builtins.json import to_json

        if not options.strict:
            _refuse_unevaluated(value)
        return to_json(session, value) + "\n"
    if options.form == "xml":
        from evaluator.builtins.xml import to_xml

        return to_xml(session, value, options.location, options.strict)
    if options.form == "raw":
        from evaluator.code.coerce import as_string, coerce

        return as_string(coerce(session, value, True, False))
    if options.strict:
        from evaluator.builtins.control import deep_force

        deep_force(value, session)
        return show(value) + "\n"
    return show(value, "<CODE>") + "\n"


def _refuse_unevaluated(value: object) -> None:
    """JSON has no word for what is not evaluated: Nix wants ``--strict`` then."""
    pending: list[tuple[object, Place | None]] = [(value, None)]
    while pending:
        at, place = pending.pop()
        if isinstance(at, Thunk):
            if at.code is not None:
                raise TypeFault("cannot convert a thunk to JSON (use '--strict' to evaluate it)", place)
            at = at.payload
        if isinstance(at, list):
            pending += [(item, place) for item in reversed(at)]
        elif isinstance(at, Attrs) and "__toString" not in at.items:
            names = ["outPath"] if "outPath" in at.items else sorted(at.items, reverse=True)
            pending += [(at.items[name], at.place_of(name)) for name in names]


def _trees(options: Options, session: Session) -> Iterator[str]:
    here = os.getcwd()
    for text, name in asking.texts(options):
        yield _tree(ParsedFile(SourceFile(name, text), parse(text), (0, 0, 0)), here, session)
    for given in asking.named_files(options):
        path = session.files.expression_file(asking.located(session, given))
        yield _tree(session.files.parse(path), os.path.dirname(path), session)


def _tree(parsed: ParsedFile, directory: str, session: Session) -> str:
    from evaluator.lowering.undefined import undefined_name
    from evaluator.syntax.printer import show as show_tree

    fault = syntax_fault(parsed)
    if fault is not None:
        raise fault
    undefined = undefined_name(parsed, session.globals)
    if undefined is not None:
        raise undefined
    return show_tree(parsed.source, directory, session.home()) + "\n"
