"""What this machine can build with: which runtimes there are, which is used, what is enforced and what not."""

from __future__ import annotations

import os
from pathlib import Path

from builder.oci import seccomp, starter
from builder.oci.cgroups import find_hierarchy
from builder.oci.probing import Trial, trials
from builder.oci.root import find_certificates, find_shell
from builder.oci.runtimes import candidates
from builder.oci.service import no_kvm
from builder.request import KVM
from store.records import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing: ``state`` is ``"ok"``, ``"weak"`` (works, but less is enforced) or ``"missing"``."""

    subject: str
    state: str
    text: str


@dataclass(frozen=True)
class Report:
    """Everything that was found."""

    trials: tuple[Trial, ...]  #: of all runtimes, the best first
    used: str | None  #: the runtime that builds, None when there is none
    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Whether builds can be made at all."""
        return self.used is not None

    def lines(self) -> list[str]:
        """The report as lines of text."""
        marks = {"ok": "ok     ", "weak": "weak   ", "missing": "MISSING"}
        return [f"{marks[finding.state]} {finding.subject}: {finding.text}" for finding in self.findings]


def examine(folder: Path) -> Report:
    """Try everything anew, in ``folder``: that for builds under way (:func:`builder.places.builds_folder`)."""
    tried = tuple(trials(folder))
    used = next((trial for trial in tried if trial.works), None)
    # How a program can be run besides is of no interest where it works in one way.
    working = {trial.program for trial in tried if trial.works}
    found = [_of_trial(trial, used) for trial in tried if trial.works or trial.program not in working]
    if used is None:
        found.append(Finding("runtime", "missing", "none works: install crun, runc or bubblewrap"))
    shell = find_shell()
    if shell is None:
        found.append(Finding("/bin/sh", "missing", "no static busybox: builders find no shell; install busybox-static"))
    else:
        found.append(Finding("/bin/sh", "ok", shell))
    found += [*_limits(used), *_other_users(used), _system_calls(), _network(), _kvm()]
    if starter.program() is None:
        found.append(Finding("builder's name", "weak", "builders see their whole path as their name on this machine"))
    return Report(tried, used.runtime if used else None, tuple(found))


def _of_trial(trial: Trial, used: Trial | None) -> Finding:
    if not trial.program:
        return Finding(trial.runtime, "missing" if used is None else "weak", "not installed")
    where = f"{trial.version} ({trial.program})"
    if trial is used:
        return Finding(trial.runtime, "ok", f"{where}, used")
    if trial.works:
        return Finding(trial.runtime, "ok", f"{where}, works")
    return Finding(trial.runtime, "missing" if used is None else "weak", f"{where}: {trial.why_not}")


def _limits(used: Trial | None) -> list[Finding]:
    hierarchy = find_hierarchy()
    if used is None or used.grouped:
        version = f"control groups, version {hierarchy.version}" if hierarchy else "control groups of the runtime"
        found = [Finding("memory and processes", "ok", f"limited for a build as a whole by {version}")]
    else:
        who = "an ordinary user" if os.geteuid() else "this process"
        why = f"{who} may make no control groups here: limited for each process (RLIMIT_AS, RLIMIT_NPROC) instead"
        found = [Finding("memory and processes", "weak", why)]
    told = "builders are told how many to use (NIX_BUILD_CORES)"
    if hierarchy is not None and hierarchy.processors is not None:
        found.append(
            Finding("processors", "ok", f"{told}; with enforce-cores = true they get no more time than these have")
        )
    else:
        found.append(Finding("processors", "weak", f"{told}, not held to it: no control groups for their time here"))
    found.append(Finding("time, silence and log", "ok", "limited by the builder itself"))
    found.append(
        Finding("size of outputs", "ok", "of each file by the kernel, of the whole by looking at it twice a second")
    )
    return found


def _other_users(used: Trial | None) -> list[Finding]:
    runtime = next((runtime for runtime in candidates() if used and runtime.name == used.runtime), None)
    if runtime is None:
        return []
    user, group = runtime.owner
    if runtime.maps:
        who = "builders are users of this machine that belong to nobody, each build another one"
        return [Finding("other users", "ok", f"{who}: no person can end, read or change them")]
    if user == os.geteuid():
        who = f"builders are the user {user} of this machine, as this process is"
        return [Finding("other users", "ok", f"{who}: no other ordinary user can end, read or change them")]
    return [
        Finding(
            "other users",
            "weak",
            f"builders are the user {user} and the group {group} of this machine: a person who is that user can end "
            f"them, and one who is in that group, too, can read and change what they do",
        )
    ]


def _system_calls() -> Finding:
    if seccomp.supported():
        return Finding(
            "system calls", "ok", "set-id bits, extended attributes and sockets to the hypervisor are refused (seccomp)"
        )
    return Finding("system calls", "weak", "not filtered on this kind of machine; set-id files are refused as outputs")


def _network() -> Finding:
    certificates = find_certificates()
    if certificates is None:
        return Finding(
            "network", "weak", "fixed outputs have it, but no certificate authorities: install ca-certificates"
        )
    return Finding("network", "ok", f"only for fixed outputs, with {certificates}")


def _kvm() -> Finding:
    lacking = no_kvm()
    if lacking:
        return Finding("kvm", "weak", lacking.removeprefix("it needs the feature kvm, but "))
    return Finding("kvm", "ok", f"builds that ask for it (requiredSystemFeatures) have {KVM}")
