"""Where numbers come from: the device, the versions and the source that made them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

_DISTRIBUTIONS = ("jax", "jaxlib", "flax", "optax", "gymnax", "brax", "orbax-checkpoint", "jaxrl-evolve")


def provenance() -> dict[str, Any]:
    """What a result depends on beside its config: device, versions, source, precision.

    Returns:
        ``device`` (platform, kind, count, processes, cpu_cores), ``versions`` (None where a package is
        not installed), ``git`` (commit, dirty; None where the library does not run from a checkout), and
        ``matmul_precision`` (None is jax's default). No host or user names.
    """
    device = jax.devices()[0]
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return {
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
            "cpu_cores": os.cpu_count(),
        },
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _DISTRIBUTIONS},
        "git": _git_state(Path(__file__)),
        "matmul_precision": precision,
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state(source: Path) -> dict[str, Any] | None:
    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(source.parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An installed copy may lie inside somebody else's repository: only a tracked source file counts.
    if git("ls-files", "--error-unmatch", source.name) is None:
        return None
    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}
