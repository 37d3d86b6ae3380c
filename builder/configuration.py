"""Where Nix's configuration is. Specification: the Nix manual, "nix.conf"."""

from __future__ import annotations

import os
from collections.abc import Mapping


def configuration_files(environ: Mapping[str, str]) -> list[str]:
    """The files that are read if they are there, in their order."""
    system = os.path.join(environ.get("NIX_CONF_DIR", "/etc/nix"), "nix.conf")
    if "NIX_USER_CONF_FILES" in environ:
        own = [path for path in environ["NIX_USER_CONF_FILES"].split(":") if path]
    else:
        home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config")
        folders = [home, *environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
        own = [os.path.join(folder, "nix", "nix.conf") for folder in folders if folder]
    # The first named counts most, so it is read last.
    return [system, *reversed(own)]
