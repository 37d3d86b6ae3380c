"""What may stand in a flake.nix: the attributes that Nix and its tools give a meaning.

Specification: the Nix manual, "nix flake", "Flake format" and "Flake inputs"; "nix flake check" for the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from evaluator.flakes.declared import declared_inputs
from evaluator.syntax.cursor import Place
from evaluator.syntax.tree import Assert, AttrBinding, AttrPath, AttrSet, Binary, Expr, Lambda, Let, Paren, With
from lsp.ide.types import Item

_SYSTEMS: Final = {
    name: f"for {words}"
    for name, words in {
        "x86_64-linux": "Linux on 64-bit Intel and AMD machines",
        "aarch64-linux": "Linux on 64-bit ARM machines",
        "x86_64-darwin": "macOS on Intel",
        "aarch64-darwin": "macOS on Apple silicon",
        "i686-linux": "Linux on 32-bit Intel and AMD machines",
        "riscv64-linux": "Linux on 64-bit RISC-V machines",
    }.items()
}

_INPUT: Final = {
    "url": "where it is: a flake reference like `github:OWNER/REPO/REF`, `git+https://…`, `path:./folder`",
    "follows": 'another input to take instead, from the root: `"nixpkgs"`, `"other/nixpkgs"`',
    "flake": "false: only its files are wanted, it has no outputs",
    "inputs": "what its own inputs shall be",
    "type": 'the kind of a reference that is given as attributes: `"github"`, `"git"`, `"tarball"`, `"path"` …',
    "owner": "of a repository on GitHub, GitLab or SourceHut",
    "repo": "a repository on GitHub, GitLab or SourceHut",
    "ref": "a branch or tag",
    "rev": "a commit",
    "dir": "the folder in it that holds its flake.nix",
    "host": "another server of the same kind",
    "path": "a folder of this machine",
    "narHash": "the hash of its tree",
    "submodules": "true: with Git's submodules",
    "shallow": "true: without its history",
}

_ONE: Final[Mapping[str, str]] = {"default": "what is meant where no name is given"}

#: Ways of attribute names (`*`: any) -> what may stand there, and what it is.
_SCHEMA: Final[Mapping[tuple[str, ...], Mapping[str, str]]] = {
    (): {
        "description": "what it is, in a line",
        "inputs": "the flakes and trees that it needs, by the names that `outputs` gets them under",
        "outputs": "a function from the inputs and `self` to what the flake has to offer",
        "nixConfig": "settings of Nix that whoever uses it is asked to take over",
    },
    ("inputs", "*"): _INPUT,
    ("inputs", "*", "inputs", "*"): _INPUT,
    ("nixConfig",): {
        "extra-substituters": "more caches to fetch from",
        "extra-trusted-public-keys": "more keys whose signatures count",
        "substituters": "the caches to fetch from",
        "trusted-public-keys": "the keys whose signatures count",
        "extra-experimental-features": "more features to enable",
        "allow-import-from-derivation": "whether evaluation may build",
    },
    ("outputs",): {
        "packages": "derivations by system and name: `nix build .#NAME`",
        "legacyPackages": "package sets by system, not looked through as a whole",
        "apps": "programs by system and name: `nix run .#NAME`",
        "devShells": "environments by system and name: `nix develop .#NAME`",
        "checks": "derivations by system and name that `nix flake check` builds",
        "formatter": "by system, what `nix fmt` runs",
        "overlays": "functions `final: prev: { … }` by name",
        "nixosModules": "NixOS modules by name",
        "nixosConfigurations": "NixOS systems by host name: `nixos-rebuild --flake .#HOST`",
        "homeConfigurations": "home-manager's configurations by user: `home-manager switch --flake .#USER`",
        "homeModules": "home-manager's modules by name",
        "darwinConfigurations": "nix-darwin's systems by host name",
        "darwinModules": "nix-darwin's modules by name",
        "templates": "starting points by name: `nix flake init -t .#NAME`",
        "hydraJobs": "derivations that Hydra builds",
        "bundlers": "functions by system and name that `nix bundle` calls",
        "lib": "functions for others",
    },
    **{
        ("outputs", name): _SYSTEMS
        for name in (
            "packages",
            "legacyPackages",
            "apps",
            "devShells",
            "checks",
            "formatter",
            "bundlers",
        )
    },
    **{("outputs", name, "*"): _ONE for name in ("packages", "apps", "devShells", "bundlers")},
    **{("outputs", name): _ONE for name in ("overlays", "nixosModules", "homeModules", "darwinModules", "templates")},
    ("outputs", "apps", "*", "*"): {
        "type": 'always `"app"`',
        "program": "the path of the program",
        "meta": "its description",
    },
    ("outputs", "templates", "*"): {
        "path": "the folder that is copied",
        "description": "what it is, in a line",
        "welcomeText": "what is shown after it was copied",
    },
}


def is_flake(path: str) -> bool:
    """Whether a file is a flake, by its name."""
    return path.endswith("/flake.nix")


def attributes(chain: Sequence[Place], way: Sequence[str | None]) -> list[Item]:
    """The attributes with a meaning in the set that ``way`` leads to from the root; none in sets that are no part of
    the flake itself: arguments of calls, values of ``let``. ``chain`` leads to the cursor."""
    if not _is_in_flake(chain):
        return []
    for pattern, known in _SCHEMA.items():
        if len(pattern) == len(way) and all(want in ("*", name) for want, name in zip(pattern, way, strict=True)):
            return [Item(name, detail="of a flake", doc=doc) for name, doc in known.items()]
    return []


def arguments(root: Expr, text: str) -> list[Item]:
    """What the function ``outputs`` of a flake gets: the inputs that it declares, and ``self``."""
    items = [Item("self", "argument", "the flake itself", "its outputs, and its tree")]
    return items + [Item(name, "argument", "an input of this flake") for name in declared_inputs(root, text) if name]


def _is_in_flake(chain: Sequence[Place]) -> bool:
    """Whether a chain leads through sets of the flake itself; into its outputs through their one function."""
    functions = 0
    for index, link in enumerate(chain[:-1]):
        node, below = link.node, chain[index + 1].node
        if isinstance(node, Lambda):
            functions += 1
            if functions > 1 or below is not node.body:
                return False
        elif isinstance(node, Let | With | Assert):
            if below is not node.body:
                return False
        elif not isinstance(node, AttrSet | AttrBinding | AttrPath | Paren | Binary):
            return False
    return True
