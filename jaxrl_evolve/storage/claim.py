"""Taking the folder of a run or a sweep: locked, and with the configuration that it was started with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxrl_evolve.storage import folder as folders


def claim(
    out: str | os.PathLike[str],
    config: Mapping[str, Any],
    stack: contextlib.ExitStack,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> folders.RunFolder:
    """The run folder, locked until ``stack`` closes; of several processes only the first touches it.

    Args:
        out: the folder.
        config: the whole configuration as JSON data, written where there is none.
        stack: holds the lock.
        resume: as in `folder.create`.
        overwrite: as there.

    Raises:
        ValueError: the folder cannot be used, or its run was started with another configuration.
    """
    if jax.process_index() != 0:
        return folders.RunFolder(Path(out))
    folder = folders.create(out, overwrite=overwrite, resume=resume)
    stack.enter_context(folders.Lock(folder))
    if folder.config.exists():
        _same_config(folders.read_json(folder.config), config, folder)
    else:
        folders.write_json(folder.config, config)
    return folder


def claim_sweep(
    out: str | os.PathLike[str],
    plan: Mapping[str, Any],
    stack: contextlib.ExitStack,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> folders.RunFolder:
    """Like `claim`, for the folder of a sweep with its plan.

    Raises:
        ValueError: the folder cannot be used, or its sweep was started with another plan.
    """
    if jax.process_index() != 0:
        return folders.RunFolder(Path(out))
    folder = folders.create(out, overwrite=overwrite, resume=resume, sweep=True)
    stack.enter_context(folders.Lock(folder))
    if not folder.sweep.exists():
        folders.write_json(folder.sweep, plan)
    elif folders.read_json(folder.sweep) != plan:
        raise ValueError(
            f"the sweep in {folder.path} was started with other settings: resume it unchanged, or sweep into "
            "another folder"
        )
    return folder


def _same_config(there: Mapping[str, Any], asked: Mapping[str, Any], folder: folders.RunFolder) -> None:
    for name, value in _flat(asked):
        found = dict(_flat(there)).get(name)
        if found != value and not name.startswith("sinks.") and name != "objective_sha256":
            raise ValueError(
                f"{name} is {value!r}, but the run in {folder.path} was started with {found!r}: resume it "
                "unchanged, or train into another folder"
            )
    if there.get("objective_sha256") != asked.get("objective_sha256"):
        raise ValueError(
            f"objective is {asked['objective']!r}, whose file is not the one that the run in {folder.path} was "
            "started with: resume it unchanged, or train into another folder"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
