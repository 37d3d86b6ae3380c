"""A worker process for tests: speaks the protocol and obeys the text that it is asked about.

The text of the target decides: ``slow`` is answered only once cancelled, ``hang`` never, ``crash`` ends the
process, ``crash_once`` only in the first process (a file given as the first argument remembers that),
``garbage`` answers with bytes that are no message; everything else is a string that quotes the text of the target.
A nixpkgs whose path ends in ``slow`` is loaded until the first question.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from evaluator.service.protocol import (
    Allow,
    Answer,
    Arguments,
    Cancel,
    Configure,
    Diagnose,
    Document,
    Facts,
    FromWorker,
    Location,
    Member,
    Refresh,
    Scope,
    Status,
    StopBuilds,
    ToWorker,
    read_frame,
    write_frame,
)

MEMBERS = tuple(
    Member(name, "function" if name == "mkDerivation" else "set") for name in ("hostPlatform", "mkDerivation")
)


def main() -> None:
    memory = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    out = os.fdopen(os.dup(1), "wb")
    decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
    texts: dict[str, str] = {}
    configured = Configure()

    def say(message: FromWorker) -> None:
        write_frame(out, msgspec.msgpack.encode(message))

    while (payload := read_frame(sys.stdin.buffer)) is not None:
        message = decoder.decode(payload)
        if isinstance(message, Configure):
            configured = message
            texts.clear()
            say(Status("loading", f"loading {message.nixpkgs or 'nothing'}"))
            if not message.nixpkgs.endswith("slow"):
                say(Status("idle"))
            continue
        if isinstance(message, Document):
            if message.text is None:
                texts.pop(message.path, None)
            else:
                texts[message.path] = message.text.decode("utf-8", "surrogateescape")
            continue
        if isinstance(message, Cancel):
            say(Answer(message.id, "cancelled"))
            continue
        if isinstance(message, Allow | StopBuilds | Refresh):
            continue
        if isinstance(message, Diagnose):
            say(Answer(message.id, "value"))
            continue
        if isinstance(message, Arguments):
            say(Answer(message.id, "value", members=tuple(Member(name) for name in ("fetchurl", "lib", "stdenv"))))
            continue
        if isinstance(message, Scope):
            say(Answer(message.id, "value", members=(Member("fromWith", "derivation", "from a with"),)))
            continue
        if configured.nixpkgs.endswith("slow"):
            say(Status("idle"))
        target = message.target
        text = texts.get(target.path)
        if text is None:
            text = Path(target.path).read_text() if Path(target.path).exists() else ""
        asked = text[target.start : target.end]
        if asked == "hang":
            continue
        if asked == "slow":
            continue
        if asked == "crash":
            os._exit(3)
        if asked == "crash_once" and memory is not None and not memory.exists():
            memory.write_text("crashed")
            os._exit(4)
        if asked == "garbage":
            write_frame(out, b"\xc1")
            continue
        if asked == "hung":
            while True:
                pass
        shown = ".".join([asked, *target.attrs]).encode("utf-8", "replace").decode()
        place = Location(target.path, 0, 1)
        facts = Facts("string", f'"{shown}"', place, doc=f"nixpkgs={configured.nixpkgs}")
        say(Answer(message.id, "value", facts, MEMBERS if hasattr(message, "limit") else ()))


main()
