"""Builds tvix-lsp: everything but the compilation stands in pyproject.toml.

The hot modules are compiled with mypyc into one shared library. Without a C compiler or Python.h, or with
TVIX_PURE=1, nothing is compiled and the very same files run as plain Python. It is all of them or none: modules
of which only some are compiled do not fit together. `store/compiled.py` decides at run time.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CCompilerError, CompileError, LinkError, PlatformError

ROOT = Path(__file__).resolve().parent

# gcc's default lets any other library replace each of our functions at run time, so that it inlines none of them, and
# that each is looked up by its name when the library is loaded (1 ms).
LINUX_CFLAGS = ["-fno-semantic-interposition", "-fno-plt", "-fvisibility=hidden"]
BUILDING = {"build", "build_ext", "bdist_wheel", "editable_wheel", "develop", "install"}


def hot_modules() -> list[str]:
    """Paths (relative, POSIX) of the modules to compile, as pyproject.toml lists them."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["tvix"]["compile"]
    found = {path for pattern in table["modules"] for path in ROOT.glob(pattern)}
    plain = {path for pattern in table["plain"] for path in ROOT.glob(pattern)}
    return sorted(path.relative_to(ROOT).as_posix() for path in found - plain)


def why_not_compiled() -> str:
    """The reason why this build must be plain Python; empty when it can be compiled."""
    if os.environ.get("TVIX_PURE", "0") not in ("", "0"):
        return "TVIX_PURE is set"
    if platform.python_implementation() != "CPython":
        return f"{platform.python_implementation()} is not CPython"
    try:
        import mypyc  # noqa: F401
    except ImportError:
        return "mypyc is not installed"
    from distutils.ccompiler import new_compiler
    from distutils.sysconfig import customize_compiler

    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text("#include <Python.h>\nint probe(void) { return PY_MAJOR_VERSION; }\n")
        include = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
        try:
            compiler = new_compiler()
            customize_compiler(compiler)
            objects = compiler.compile([str(probe)], output_dir=folder, include_dirs=include)
            compiler.link_shared_object(objects, str(Path(folder, "probe.so")))
        except (CCompilerError, CompileError, LinkError, PlatformError, OSError) as error:
            return f"no working C compiler with Python.h ({error})"
    return ""


def extensions() -> list[Extension]:
    """The compiled modules, or none (and a line on stderr that says why)."""
    if not BUILDING.intersection(sys.argv):
        return []  # only metadata is asked for
    if reason := why_not_compiled():
        print(f"*** tvix-lsp: NOT COMPILED, building plain Python (several times slower): {reason}", file=sys.stderr)
        return []
    from mypyc.build import mypycify

    modules = hot_modules()
    print(f"*** tvix-lsp: compiling {len(modules)} modules with mypyc", file=sys.stderr)
    options = ["--config-file=", "--ignore-missing-imports"]  # type errors are `mypy --strict`'s business
    found: list[Extension] = mypycify(
        [*options, *modules], opt_level="3", debug_level="0", multi_file=True, group_name="tvix_lsp"
    )
    flags = ["-Wno-error"] if os.name == "posix" else []
    flags += LINUX_CFLAGS if sys.platform == "linux" else []
    for extension in found:
        extension.extra_compile_args = [*extension.extra_compile_args, *flags]  # mypycify lets all share one list
    return found


def compiled_files(folder: Path) -> Iterator[Path]:
    """Compiled modules of ours under a build folder or a checkout."""
    for suffix in ("so", "pyd"):
        yield from folder.glob(f"tvix_lsp__mypyc*.{suffix}")
        for package in ("evaluator", "store"):
            yield from folder.glob(f"{package}/**/*.{suffix}")


class FreshBuildPy(build_py):
    """Copies the sources, after removing what an earlier build compiled: no mixture of old and new, ever."""

    def run(self) -> None:
        for path in compiled_files(ROOT if self.editable_mode else Path(self.build_lib)):
            path.unlink()
        super().run()


class ParallelBuildExt(build_ext):
    """Compiles on all cores: one C file for each module, all of them in one extension."""

    def build_extensions(self) -> None:
        compile_serially = self.compiler.compile
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

            def compile_parallel(sources: list[str], **options: Any) -> list[str]:
                jobs = [pool.submit(compile_serially, [source], **options) for source in sources]
                return [path for job in jobs for path in job.result()]

            self.compiler.compile = compile_parallel
            self.parallel = os.cpu_count() or 1
            super().build_extensions()


setup(ext_modules=extensions(), cmdclass={"build_py": FreshBuildPy, "build_ext": ParallelBuildExt})
