"""Whether a run that was taken up again had anything left to do, so that an old result is not shown as a new one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def unless_finished(out: str | os.PathLike[str]) -> Callable[[str], str]:
    """Look at the result in a folder before its run or sweep is taken up again.

    Args:
        out: the folder.

    Returns:
        What to do with the words on what came out, afterwards: where the result is still the one that was there, they
        begin with a sentence that says so, and how a training run is given more steps.
    """
    before = _result(out)

    def tell(said: str) -> str:
        if not said or not before or _result(out) != before:
            return said
        return f"{_already(os.fspath(out), before)}\n{said}"

    return tell


def _already(out: str, result: dict[str, Any]) -> str:
    from jaxrl_evolve.storage.folder import kind_of

    more = ""
    if kind_of(out) == "train" and "points" not in result:
        steps = f"{result['env_steps']:,} steps per seed"
        more = f"; jaxrl-evolve resume {out} --steps N goes on to more than its {steps}"
    return f"{out} had already finished, and nothing was trained{more}"


def _result(out: str | os.PathLike[str]) -> dict[str, Any]:
    """What came out, without what it depends on: a sweep writes that anew. Seconds tell one training from another."""
    from jaxrl_evolve.storage.folder import FolderError, read_json

    try:
        result = read_json(Path(out) / "result.json")
    except FolderError:
        return {}
    return {name: value for name, value in result.items() if name not in ("device", "versions", "git")}
