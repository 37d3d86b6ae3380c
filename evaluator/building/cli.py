"""``tvix-build``: builds what Nix expressions describe, with the flags and exit codes of ``nix-build``.

0: all is built. 1: an error before building (evaluation, usage, configuration, nothing to build it with). 100: a build
failed, 101: one took too long, 102: an output has another hash than it must, 104: ``--check`` found a difference;
several of these are combined by ``or``. 130: interrupted, by whatever signal.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # importing typing would take longer than many other things here
if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.outcome import Wish
    from builder.realise import Realiser
    from builder.service import BuildService
    from builder.settings import Settings
    from builder.views import View
    from evaluator.building.flags import BuildOptions
    from evaluator.command.flags import Options
    from evaluator.stores.access import LocalAccess

#: Settings that evaluation knows nothing of: with any other one it is not remembered.
_NOT_OF_EVALUATION = frozenset(
    ("cores", "keep-failed", "keep-going", "max-jobs", "max-silent-time", "substitute", "substituters", "timeout")
)
_BAD_USAGE = 1
_FAILED = 1
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from store.streams import open_missing

        open_missing()
    words = sys.argv[1:] if argv is None else list(argv)
    if argv is None:
        gc.disable()  # it ends soon: what it makes, it keeps
    try:
        code = _run(words, argv is None)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted by the user\n")
        code = _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _FAILED
    except OSError as error:
        from store.streams import explained

        said = explained(error)
        if said is None:
            raise
        code = _complain(said, _FAILED)
    if argv is None:
        sys.stderr.flush()
        os._exit(code)  # taking everything apart first would take longer
    return code


def _run(words: Sequence[str], only: bool) -> int:
    from evaluator.building import flags
    from evaluator.command.flags import UsageError

    if words[:1] and words[0] in flags.COMMANDS:
        from evaluator.building.also import command

        return command(list(words))
    try:
        options = flags.read(words)
    except UsageError as error:
        return _complain(f"error: {error}\nTry 'tvix-build --help' for more information.", _BAD_USAGE)
    if options.doing == "help":
        print(flags.usage())
        return 0
    if options.doing == "version":
        from evaluator.version import describe

        print(f"tvix-build {describe()}")
        return 0
    return _build(options, words, only)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


def _build(options: BuildOptions, words: Sequence[str], only: bool) -> int:
    """Builds what is asked for; the exit code. ``only``: the process has nothing to do but this."""
    from builder.settings import SettingsError, load
    from evaluator.runtime.errors import EvalError
    from evaluator.stores.access import LocalAccess
    from store.castore.services import StoreError

    if only:
        from evaluator.interrupts import take_ends_as_interrupts

        take_ends_as_interrupts()
    access = LocalAccess(options.store, True, options.settings)
    try:
        settings = load(options.settings)
        return _built(options, settings, access, words)
    except (SettingsError, StoreError, EvalError) as error:
        return _complain(f"error: {error}", _FAILED)
    finally:
        # Closing the database's last connection writes its log back, which takes as long as making an output visible
        # and can wait until more has come together.
        if not only:
            access.close()


def _built(options: BuildOptions, settings: Settings, access: LocalAccess, words: Sequence[str]) -> int:
    from builder import views
    from builder.outcome import BuildFailed
    from builder.realise import Realiser
    from evaluator.building.operands import stored
    from store.backends.local.castore import LocalCastore

    shown = views.view(json=options.json, quiet=options.quiet, build_output=options.build_output)
    realiser = Realiser(
        access.castore,
        service=_service(options, access),
        settings=settings,
        check=options.check,
        on_event=shown.hear,
    )
    access.build_with(realiser)
    options.realiser = realiser
    castore = access.castore.castore
    held = castore.db if isinstance(castore, LocalCastore) else None  # so that evaluation's connection is not the last
    try:
        wishes = stored(options)
        if options.expressions or options.stdin or len(wishes) < len(options.operands) or not options.operands:
            code = _evaluate(options, access, wishes, words)
            if code:
                return code
        if options.dry_run:
            return _dry_run(realiser, wishes)
        return _realised(options, realiser, wishes, shown)
    except BuildFailed as error:
        from evaluator.building.reports import failure

        shown.close()
        return _complain("\n".join(failure(error)), error.exit_code)
    finally:
        shown.close()
        realiser.close()
        del held


def _evaluate(options: BuildOptions, access: LocalAccess, wishes: list[Wish], words: Sequence[str]) -> int:
    """Adds what evaluation asks for; the exit code of evaluating.

    What it came to is remembered, and holds as long as all that it read is unchanged and its derivations are there.
    """
    from evaluator.building.operands import wish_of
    from evaluator.cache.answers import Question

    question = None
    if not options.stdin and options.settings.keys() <= _NOT_OF_EVALUATION:
        # To `tvix-eval` the first word is no flag, so no question of its is the same.
        question = Question.of(["--tvix-build", *words])
    known = None if question is None else question.recall()
    if known is not None:
        for line in known.said:
            sys.stderr.write(line + "\n")
        wishes.extend(wish_of(name) for name in known.text.splitlines())
        return 0
    from evaluator.building.wishes import evaluated
    from evaluator.command.running import evaluate
    from evaluator.io.reads import Reads

    reads = None if question is None else Reads()

    def work(_: Options) -> None:
        names = evaluated(options, access, reads)
        wishes.extend(wish_of(name) for name in names)
        if question is not None and reads is not None:
            question.remember(reads, "\n".join(names))

    return evaluate(options, work, False)


def _dry_run(realiser: Realiser, wishes: list[Wish]) -> int:
    from evaluator.building.reports import announcement

    plan = realiser.plan(wishes)
    for line in announcement(plan, "would be"):
        sys.stderr.write(line + "\n")
    for failed in plan.impossible.values():
        sys.stderr.write(f"error: {failed}\n")
    return _FAILED if plan.impossible else 0


def _realised(options: BuildOptions, realiser: Realiser, wishes: list[Wish], shown: View) -> int:
    paths = realiser.realise(wishes)
    shown.close()
    singles = [(wish, output, paths[f"{wish.path}!{output}"]) for wish in wishes for output in _outputs(wish, paths)]
    if options.link:
        from builder.outcome import Wish
        from evaluator.building.links import link_outputs

        link_outputs(realiser.store, options.link, [(Wish(wish.path, (name,)), path) for wish, name, path in singles])
    for _, _, path in singles:
        sys.stdout.write(path + "\n")
    return 0


def _outputs(wish: Wish, paths: dict[str, str]) -> list[str]:
    prefix = wish.path + "!"
    return list(wish.outputs) or [key.removeprefix(prefix) for key in paths if key.startswith(prefix)]


def _service(options: BuildOptions, access: LocalAccess) -> BuildService | None:
    """Who builds, if it is not this process."""
    if not options.builder:
        return None
    from builder.remote.client import open_service

    return open_service(options.builder, access.castore)


if __name__ == "__main__":
    sys.exit(main())
