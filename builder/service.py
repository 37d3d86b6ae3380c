"""What builds, whether in this process or elsewhere.

In process it is :class:`builder.oci.service.OciBuildService`; a stub of a remote one looks the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from builder.events import BuildEvent
from builder.request import BuildRequest


class BuildService(Protocol):
    """Runs build requests. Many builds may run at once, each in a thread of its own."""

    def build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        """The events of one build, the last one ``Succeeded`` or ``Failed``; raises nothing for a build that fails.

        The outputs of ``Succeeded`` are in the service's castore: :func:`builder.outputs.register` gives them their
        store paths. Setting ``cancel``, or closing the iterator, ends the build and whatever it started, within a
        moment. Iterate in one thread.
        """

    def systems(self) -> frozenset[str]:
        """The systems that it builds for, ``x86_64-linux`` and the like."""
