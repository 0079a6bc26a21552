"""What a run was trained for before it was given more steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.configurations import HISTORY


def history_of(out: str | os.PathLike[str] | None) -> list[dict[str, int]]:
    """What the run in a folder was trained for before it was given more steps, oldest first: each with ``steps`` as
    asked for, and ``env_steps`` and ``updates`` as made.
    """
    config = None if out is None else folders.RunFolder(Path(out)).config
    return folders.read_json(config).get(HISTORY, []) if config and config.is_file() else []


def has_result(folder: folders.RunFolder, env_steps: int) -> bool:
    """Whether a run folder holds the result of a run of so many environment steps per seed: one that was given more keeps that of its
    earlier end until it comes to the next.
    """
    return folder.result.exists() and folders.read_json(folder.result).get("env_steps") == env_steps


def decisive(config: Mapping[str, Any], history: list[dict[str, int]], step: int | None) -> dict[str, Any]:
    """The configuration by which checkpoints are known: that with which the run was begun.

    Args:
        config: as JSON data.
        history: of `history_of`.
        step: the checkpoint that is asked for, if one is.

    Raises:
        ValueError: the checkpoint is from before the run was given more steps.
    """
    if not history:
        return dict(config)
    if step is not None and step < history[-1]["updates"]:
        raise ValueError(
            f"step is {step}, but the run was given more steps after {history[-1]['updates']} updates: an earlier "
            "checkpoint would go on by another horizon than the one before it"
        )
    return {**config, "steps": history[0]["steps"]}
