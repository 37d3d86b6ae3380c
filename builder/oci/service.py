"""Builds on this machine: a request becomes a container, and what it leaves becomes outputs.

    FOLDER/root-…        the root that all builds see (builder.oci.root)
    FOLDER/builds/NAME/  one build: its scratch folders, its bundle, its runtime's state; gone with it

A build whose process was killed leaves its folder, its control group and maybe its container; the next service that is
made in the same folder removes them.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from builder import places
from builder.canonical import NotCanonical, canonicalise
from builder.checkouts import Checkouts
from builder.events import BuildEvent, BuiltOutput, Failed, Started, Succeeded, Why
from builder.oci import host_ids, leash, starter
from builder.oci.bundle import PROCESSES, Job, Mount
from builder.oci.cgroups import Group, Hierarchy, find_hierarchy, remove_orphan
from builder.oci.probing import NoRuntime, choose
from builder.oci.root import CERTIFICATES_INSIDE, NETWORK_FILES, find_certificates, find_shell, root_folder
from builder.oci.running import Run
from builder.oci.runtimes import Runtime, candidates, owner
from builder.request import KVM, BuildRequest
from builder.scratch import ScratchFolders
from store.castore.services import StoreError
from store.castore.trees import ingest_path
from store.composition.castore_store import CastoreStore
from store.nar import NarError
from store.records import replace
from store.references import ReferenceScanner
from store.store_path import BadStorePath, base_name, is_store_path

_RUNTIME = "runtime"  # in a build's folder: the name of what runs it
_STARTER = ".start"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class OciBuildService:
    """Builds with inputs out of ``store``, and outputs into its castore. A :class:`builder.service.BuildService`.

    ``folder`` is for builds under way (None: that of the store), ``checkouts`` for inputs laid out on disk. ``runtime``
    is found by trying unless it is given. ``keep_failed``: the folder that a failed build ran in is kept, under this
    one. ``enforce_cores``: a build gets no more of the processors' time than the cores that it is told to use have,
    where control groups can see to that.
    """

    def __init__(
        self,
        store: CastoreStore,
        *,
        folder: Path | None = None,
        checkouts: Checkouts | None = None,
        runtime: Runtime | None = None,
        keep_failed: Path | None = None,
        enforce_cores: bool = False,
    ) -> None:
        self.store = store
        self.folder = folder or places.builds_folder(store)
        self.checkouts = checkouts or places.checkouts(store)
        self.keep_failed = keep_failed
        self.enforce_cores = enforce_cores
        self._runtime = runtime
        self._builds = ScratchFolders(self.folder / "builds")
        self._lock = threading.Lock()
        self._hierarchy: Hierarchy | None = None
        self._shell: str | None = None
        self._ready = False
        sweep(self.folder)
        self.checkouts.forget_made()

    def systems(self) -> frozenset[str]:
        machine = os.uname().machine
        return frozenset({f"{machine}-linux", *(["i686-linux"] if machine == "x86_64" else [])})

    def build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        fault = self._fault(request)
        if fault:
            yield Failed(Why.REFUSED, fault)
            return
        try:
            runtime = self._get_ready()
            with host_ids.held(runtime.maps) as host_id, self._builds.folder() as scratch:
                build = _Build(self, runtime, self._hierarchy, self._shell, request, scratch.path, host_id)
                yield from build.events(cancel)
        except NoRuntime as error:
            yield Failed(Why.SANDBOX, str(error))
        except (StoreError, NarError, BadStorePath, OSError) as error:
            yield Failed(Why.SANDBOX, f"the sandbox could not be set up: {error}")

    def _get_ready(self) -> Runtime:
        with self._lock:
            if not self._ready:
                self._shell = find_shell()
                self._hierarchy = find_hierarchy()
                if self._runtime is None:
                    self._runtime = choose(self.folder)
                self._ready = True
            assert self._runtime is not None
            return self._runtime

    def _fault(self, request: BuildRequest) -> str:
        """What is wrong with a request, which may come from anywhere."""
        system = request.constraints.system
        if system not in self.systems():
            mine = " or ".join(sorted(self.systems()))
            return f"a '{system}' is required to build '{request.derivation or request.name}', but I am a '{mine}'"
        if not request.command:
            return "the request has no command"
        if f"/{request.inputs_dir}" != self.store.store_dir:
            return f"its store is /{request.inputs_dir}, mine is {self.store.store_dir}"
        writable = set(request.scratch_paths)
        if writable != {"build", "tmp", request.inputs_dir} or request.working_dir != "build":
            return "its scratch paths are not /build, /tmp and the store"
        for path in request.constraints.read_only_paths:
            lacking = f"it asks for '{path}' of this machine, which builds do not get" if path != KVM else no_kvm()
            if lacking:
                return lacking
        for path, _ in request.files:
            folder, _, rest = path.partition("/")
            if folder not in ("build", "tmp") or not rest or {"", ".", ".."} & set(rest.split("/")):
                return f"it has a file outside of its scratch paths: {path}"
        for path in [*request.outputs, *[entry.path.removeprefix("/") for entry in request.inputs]]:
            if not is_store_path("/" + path, self.store.store_dir):
                return f"'/{path}' is not a store path"
        return ""


def no_kvm() -> str:
    """Why builds cannot have this machine's virtual machines; empty when they can."""
    try:
        if not stat.S_ISCHR(os.stat(KVM).st_mode):
            return f"it needs the feature kvm, but {KVM} is no device"
        os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"it needs the feature kvm, but this machine has none: there is no {KVM}"
    except OSError as error:
        return f"it needs the feature kvm, but {KVM} may not be used here ({error.strerror}): see its owner and group"
    return ""


def sweep(folder: Path) -> list[Path]:
    """Remove what builds in ``folder`` left whose processes were killed, their containers too. Answers the folders."""

    def end(orphan: Path) -> None:
        remove_orphan(orphan.name)
        with suppress(OSError):
            name = (orphan / _RUNTIME).read_text()
            for runtime in candidates():
                if runtime.name == name:
                    runtime.delete(orphan, orphan.name)

    return ScratchFolders(folder / "builds").sweep(end)


class _Build:
    """One build."""

    def __init__(
        self,
        service: OciBuildService,
        runtime: Runtime,
        hierarchy: Hierarchy | None,
        shell: str | None,
        request: BuildRequest,
        folder: Path,
        host_id: int | None,
    ) -> None:
        self.host_id = host_id
        self.owner = owner(runtime, host_id)
        self.service = service
        self.runtime = runtime
        self.hierarchy = hierarchy
        self.shell = shell
        self.request = request
        self.folder = folder
        self.store_folder = folder / "store"
        self.build_folder = folder / "build"

    def events(self, cancel: threading.Event) -> Iterator[BuildEvent]:
        request = self.request
        name = self.folder.name
        # A runtime that makes groups itself makes them in ours; under version 2 no process may be where groups are.
        nests = self.runtime.groups_itself and os.geteuid() == 0
        ours = not self.runtime.groups_itself or (nests and self.hierarchy is not None and self.hierarchy.version == 1)
        cores = request.constraints.cores if self.service.enforce_cores else 0
        group = Group(self.hierarchy, name, cores) if self.hierarchy and ours else None
        job = self._job(group)
        yield Started(self.runtime.name)
        try:
            if group:
                group.make(job.memory, job.processes or PROCESSES)
                if nests:
                    group.watch()
            (self.folder / _RUNTIME).write_text(self.runtime.name)
            command = self.runtime.command(job, request.constraints.system)
            run = Run(command, request.constraints, cancel, lambda: self.runtime.init(job), self.owner, self._written)
            try:
                yield from run.events()
            finally:
                run.close()
        finally:
            starved = group is not None and group.ran_out_of_memory()
            peak = group.peak() if group else 0
            self.runtime.delete(self.folder, name)
            if group:
                group.remove()
        used = run.ending.resources
        yield replace(used, memory=max(used.memory, peak) if group is None else peak or used.memory)
        failed = self._failure(run, job, starved)
        if failed is None:
            try:
                yield self._outputs()
                return
            except _Unfit as error:
                failed = Failed(Why.OUTPUT, str(error), tail=tuple(run.tail))
            except (StoreError, NarError, OSError) as error:
                message = f"what it made could not be put into the store: {error}"
                failed = Failed(Why.SANDBOX, message, tail=tuple(run.tail))
        if self.service.keep_failed is not None and failed.why is not Why.CANCELLED:
            failed = replace(failed, kept=self._keep(self.service.keep_failed))
        yield failed

    def _written(self) -> int:
        """Bytes of all files that were written so far (holes do not count), as far as can be seen meanwhile."""
        total = 0
        pending = [str(self.store_folder), *(str(self.folder / path) for path in ("build", "tmp"))]
        while pending:
            with suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        else:
                            status = entry.stat(follow_symlinks=False)
                            total += min(status.st_size, 512 * status.st_blocks)
        return total

    def _job(self, group: Group | None) -> Job:
        """Lay everything out on disk."""
        request = self.request
        constraints = request.constraints
        mounts = [Mount(str(self._scratch(path)), f"/{path}", True) for path in request.scratch_paths]
        for entry in request.inputs:
            source = self.service.checkouts.path_of(entry.path)
            placed = self.store_folder / base_name(entry.path)
            status = os.lstat(source)
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(source), placed)
                continue
            if stat.S_ISDIR(status.st_mode):
                placed.mkdir()
            else:
                placed.touch()
            mounts.append(Mount(source, entry.path))
        for path, content in request.files:
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(0o644)
            self._give(place)
        if constraints.network:
            mounts += [Mount(path, path) for path in NETWORK_FILES if os.path.exists(path)]
            certificates = find_certificates()
            if certificates:
                mounts.append(Mount(os.path.realpath(certificates), CERTIFICATES_INSIDE))
        return Job(
            name=self.folder.name,
            folder=self.folder,
            root=root_folder(
                self.service.folder,
                self.shell if constraints.bin_sh else None,
                constraints.network,
                self.service.store.store_dir,
            ),
            command=self._command(),
            environment=request.environment,
            working_dir=request.working_dir,
            mounts=tuple(mounts),
            network=constraints.network,
            devices=constraints.read_only_paths,
            processes=constraints.processes,
            memory=constraints.memory,
            file_size=constraints.output_size,
            grouped=group is not None or (self.runtime.groups_itself and os.geteuid() == 0),
            groups=tuple(group.files()) if group else (),
            host_id=self.host_id,
            nodes=tuple(self._node(path) for path in constraints.read_only_paths) if self.host_id is not None else (),
        )

    def _command(self) -> tuple[bytes, ...]:
        command = self.request.command
        program = starter.program(dies_with_parent=self.runtime.dies_with_us)
        if program is None:
            return command
        place = self.build_folder / _STARTER
        place.write_bytes(program)
        place.chmod(0o500)
        self._give(place)
        name = command[0].rpartition(b"/")[2]
        return (f"/build/{_STARTER}".encode(), command[0], name, *command[1:])

    def _scratch(self, path: str) -> Path:
        place = self.store_folder if path == self.request.inputs_dir else self.folder / path
        place.mkdir()
        if path == "build":
            place.chmod(0o700)
            self._give(place)
        elif path == "tmp":
            place.chmod(0o1777)
        else:
            place.chmod(0o1775)
            os.chown(place, -1, self.owner[1])
        return place

    def _node(self, path: str) -> Mount:
        """A device for a builder that is mapped, whom the machine's own one may be closed to."""
        place = self.folder / ("node-" + os.path.basename(path))
        os.mknod(place, stat.S_IFCHR | 0o666, os.stat(path).st_rdev)
        place.chmod(0o666)
        return Mount(str(place), path, True)

    def _give(self, place: Path) -> None:
        """To the builder."""
        os.chown(place, *self.owner, follow_symlinks=False)

    def _failure(self, run: Run, job: Job, starved: bool) -> Failed | None:
        ending = run.ending
        tail = tuple(run.tail)
        if ending.stopped is not None:
            return Failed(ending.stopped, ending.message, ending.status, tail)
        if ending.status == 0:
            return None
        if starved:
            return Failed(Why.MEMORY, "killed for using more memory than it may", ending.status, tail)
        program = os.fsdecode(self.request.command[0])
        if ending.status == starter.STATUS and tail[-1:] == (starter.COMPLAINT,):
            return Failed(Why.EXIT, f"cannot execute the builder '{program}'", ending.status, tail)
        complaint = leash.complaint(ending.status, tail) or self.runtime.complaint(job, tail)
        if complaint:
            return Failed(Why.SANDBOX, f"{self.runtime.name}: {complaint}", ending.status, tail)
        if 128 < ending.status < 128 + signal.NSIG:
            return Failed(Why.EXIT, f"builder failed due to signal {ending.status - 128}", ending.status, tail)
        return Failed(Why.EXIT, f"builder failed with exit code {ending.status}", ending.status, tail)

    def _outputs(self) -> Succeeded:
        """Take what was made into the castore. Raises :class:`_Unfit`."""
        made: list[BuiltOutput] = []
        owner = (0, 0) if os.geteuid() == 0 else None
        castore = self.service.store.castore
        limit = self.request.constraints.output_size
        for path in self.request.outputs:
            place = self.store_folder / base_name(path)
            try:
                status = os.lstat(place)
            except FileNotFoundError:
                raise _Unfit(f"builder failed to produce output path '/{path}'") from None
            if not stat.S_ISLNK(status.st_mode) and status.st_mode & _OTHERS_WRITE:
                raise _Unfit(f"suspicious ownership or permission on '/{path}'; rejecting this build output")
            try:
                canonicalise(str(place), owner)
            except NotCanonical as error:
                raise _Unfit(str(error).replace(str(self.store_folder), self.service.store.store_dir)) from None
        with castore.transaction():
            for path in self.request.outputs:
                scanner = ReferenceScanner(self.request.needles)
                found = ingest_path(str(self.store_folder / base_name(path)), castore, also=scanner.feed)
                limit -= found.nar_size
                if self.request.constraints.output_size and limit < 0:
                    raise _Unfit(f"its outputs are larger than {self.request.constraints.output_size} bytes")
                made.append(
                    BuiltOutput(path, found.node, found.nar_sha256, found.nar_size, tuple(sorted(scanner.found())))
                )
        for output in made:
            self.service.checkouts.adopt(str(self.store_folder / base_name(output.path)), output.node)
        return Succeeded(tuple(made))

    def _keep(self, place: Path) -> str:
        import shutil
        import tempfile

        kept = tempfile.mkdtemp(prefix=f"tvix-build-{self.request.name}-", dir=place)
        shutil.move(self.build_folder, f"{kept}/build")
        if self.host_id is not None:  # whoever gets it next has nothing to do with this
            for folder, folders, files in os.walk(f"{kept}/build"):
                for name in ("", *folders, *files):
                    os.chown(os.path.join(folder, name), 0, 0, follow_symlinks=False)
        with suppress(OSError):
            os.chmod(f"{kept}/build", 0o755)
        return f"{kept}/build"


class _Unfit(Exception):
    """What was made is no output."""
