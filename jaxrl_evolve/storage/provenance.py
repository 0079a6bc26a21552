"""Where numbers come from: the device, the versions and the source that made them."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

_DISTRIBUTIONS = (
    *("jax", "jaxlib", "flax", "optax", "gymnax", "brax", "ale-py", "orbax-checkpoint", "jaxrl-evolve"),
)
_COMPUTING = ("flax", "optax", "gymnax", "brax", "mujoco", "craftax", "octax", "ale_py")
"""Modules of other packages that say what is computed; a process has loaded those that it needs."""
_UNITS = ("avx2", "fma", "avx512f", "avx512_vbmi2", "avx512_bf16", "avx512_fp16", "amx_tile")
"""Parts of x86 processors by which XLA chooses its instructions."""


def provenance() -> dict[str, Any]:
    """What a result depends on beside its config: device, versions, source, precision.

    Returns:
        ``device`` (platform, kind, count, processes, cpu_cores, processor), ``versions`` (None where a package is
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
            "processor": _processor(),
        },
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _DISTRIBUTIONS},
        "git": _git_state(Path(__file__)),
        "matmul_precision": precision,
    }


def origin() -> dict[str, Any]:
    """What `provenance` says, in a line: ``commit`` (None without one; with a ``+`` where files had changed), ``jax``,
    ``platform``, ``device`` (the processor's model on CPU) and ``cores``.
    """
    facts = provenance()
    device = facts["device"]
    return {
        "commit": _told(facts["git"]),
        "jax": facts["versions"]["jax"],
        "platform": device["platform"],
        "device": device["processor"] if device["platform"] == "cpu" else device["kind"],
        "cores": device["cpu_cores"],
    }


def command() -> str:
    """The command of this process as a shell reads it: ``jaxrl-evolve`` with its words, or the Python program that calls the library.

    Empty where there is none, as in a notebook, and where it says nothing of what is made: ``jaxrl-evolve resume``.
    """
    program, *words = sys.argv or [""]
    place = Path(program)
    if place.stem == "jaxrl-evolve" or place.parts[-2:] == ("jaxrl_evolve", "__main__.py"):
        return "" if words[:1] == ["resume"] else shlex.join(["jaxrl-evolve", *words])
    if place.suffix != ".py" or place.name == "ipykernel_launcher.py":
        return ""
    # Where it lies on this machine is nobody's business.
    return shlex.join(["python", place.name if place.is_absolute() else program, *words])


def numerics(devices: int) -> dict[str, Any]:
    """What the bits of a computation depend on beside its program and its data.

    XLA compiles another program for another share of the runs on each device, for other vector units and by other
    flags, and on CPU splits large products over the cores that it may use. The program itself is that of this library's version, and of
    others' that are loaded here.

    Args:
        devices: over how many the runs are split.

    Returns:
        What each is here, by name; texts and whole numbers, None where a version or the commit is not known. No paths, host
        or user names.
    """
    device = jax.devices()[0]
    found = {
        "platform": device.platform,
        "device": device.device_kind,
        "devices": devices,
        "jax": _version("jax"),
        "jaxlib": _version("jaxlib"),
        "XLA flags": _xla_flags(),
        "matmul precision": jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
    }
    found |= {"jaxrl-evolve": _version("jaxrl-evolve"), "commit": _commit()}
    found |= {
        _distribution(name): _version(_distribution(name)) for name in _COMPUTING if name in sys.modules
    }
    if device.platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        found |= {"cores": cores, "processor": _processor()}
    return found


def _xla_flags() -> str:
    """The flags that may change what is computed, sorted; not those that say how many devices there are or dump files."""
    own = os.environ.get("XLA_FLAGS", "").split()
    return " ".join(sorted(x for x in own if "device_count" not in x and "dump" not in x and "/" not in x))


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model and its vector units, as far as the system tells."""
    try:
        lines = cpuinfo.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    there = set(facts.get("flags", "").split())
    return " ".join(
        [facts.get("model name", platform.machine()), *(unit for unit in _UNITS if unit in there)]
    )


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _distribution(module: str) -> str:
    return module.replace("_", "-")


@functools.cache
def _commit() -> str | None:
    """Of this library's source, as `origin` has it; looked up once, as a process goes on with what it has loaded."""
    return _told(_git_state(Path(__file__)))


def _told(git: dict[str, Any] | None) -> str | None:
    return None if git is None else git["commit"] + "+" * git["dirty"]


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
