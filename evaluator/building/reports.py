"""What is said about plans and failures, in Nix's words where it has some."""

from __future__ import annotations

from builder.outcome import BuildFailed
from builder.plan import Plan


def human(size: int) -> str:
    """Bytes for people."""
    return f"{size / (1 << 20):.2f} MiB"


def announcement(plan: Plan, doing: str = "will be") -> list[str]:
    """What is to be built and fetched; nothing for a plan without steps."""
    lines: list[str] = []
    if plan.builds:
        what = "this derivation" if len(plan.builds) == 1 else f"these {len(plan.builds)} derivations"
        lines.append(f"{what} {doing} built:")
        lines += [f"  {path}" for path in reversed(plan.builds)]
    if plan.fetches:
        what = "this path" if len(plan.fetches) == 1 else f"these {len(plan.fetches)} paths"
        lines.append(f"{what} {doing} fetched ({human(plan.size())} unpacked):")
        lines += [f"  {path} ({human(plan.fetches[path].offer.info.nar_size)})" for path in sorted(plan.fetches)]
    return lines


def failure(failed: BuildFailed) -> list[str]:
    """What to say about failures: each with the end of its log, then what could not be built because of them."""
    lines: list[str] = []
    for each in (failed, *failed.others):
        is_build = each.drv_path.endswith(".drv")
        lines.append(f"error: building '{each.drv_path}' failed: {each.why}" if is_build else f"error: {each.why}")
        if each.log:
            lines.append(f"       last {len(each.log)} log lines:")
            lines += [f"       > {line}" for line in each.log]
            lines.append(f"       For full logs, run 'tvix-build log {each.drv_path}'.")
        for user in reversed(each.needed_by):
            lines.append(f"       needed by '{user}'")
    return lines
