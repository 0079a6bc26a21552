"""Kinds of run and of sweep: how a folder says which it holds, what it is called, and what its room knows of it.

``config.json`` of a run and ``sweep.json`` of a sweep have a field ``kind``. The room of a kind makes its `Kind`; the
command has the table of all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

FIELD = "kind"
RUN, SWEEP = "config.json", "sweep.json"
"""The file that says what was asked for: a folder without one of these is none of ours."""
METRICS_FILES = ("metrics.jsonl", "metrics.csv")
"""Files of a run that writes rows of metrics."""
LEVEL_FILES = ("levels.json", "levels.csv")
"""Files of a training run that a benchmark tested level by level: the answer, and a row for each run and level."""
STATE_FOLDERS = r"checkpoints|tensorboard|wandb"
"""Folders of a run that writes rows and keeps checkpoints."""

PART = r"part_(\d+)_of_(\d+)"
"""A pattern of the folder of a part of a sweep: its number, and how many there are."""


class Kind(NamedTuple):
    """What is to be known of a kind.

    Attributes:
        name: as the field ``kind`` says it.
        mark: `RUN` or `SWEEP`.
        read: its configuration, or the plan of a sweep, from JSON data without the field ``kind``. Raises ValueError,
            or what comes of data of another structure (KeyError, TypeError, AttributeError).
        resume: ``(folder, step, quiet) -> what came out``, in words. ``step`` is a checkpoint's number, None for the
            newest; kinds without checkpoints of their own are given None.
        files: names of the files it leaves beside the mark, ``result.json`` and figures.
        folders: a pattern of the names of the folders that it leaves.
        shared: whether several processes share its work.
    """

    name: str
    mark: str
    read: Callable[[Mapping[str, Any]], Any]
    resume: Callable[[str, int | None, bool], str]
    files: tuple[str, ...]
    folders: str
    shared: bool = False

    @property
    def word(self) -> str:
        """``"run"`` or ``"sweep"``."""
        return "sweep" if self.mark == SWEEP else "run"

    @property
    def has_checkpoints(self) -> bool:
        """Whether its folder has checkpoints of its own, of which one can be chosen."""
        return re.fullmatch(self.folders, "checkpoints") is not None


class About(NamedTuple):
    """A kind in words.

    Attributes:
        what: what a folder holds.
        use: what can be done with it, as a clause in which ``{path}`` is the folder.
    """

    what: str
    use: str


ABOUT = {
    "train": About("a training run", "evaluate, render and report take it"),
    "sweep": About("a sweep", "its runs lie in folders of their own below it"),
    "meta-train": About(
        "a meta-training", "agents train by its objective with: jaxrl-evolve train … --objective {path}"
    ),
    "meta-sweep": About("a sweep of meta-trainings", "its runs lie in folders of their own below it"),
    "meta-test": About("a meta-test", "its tables and figures lie in it"),
    "exploitability": About(
        "a search for an answer to a policy", "the answers are a training run in {path}/answers"
    ),
    "tournament": About("a tournament", "its tables and its figure lie in it"),
    "generate": About("a loop of generated environments", "its archive lies in it, and report takes it"),
}
"""Words for the kinds by name, here because a room that is given the folder of a higher one must say so."""


def about(name: str) -> About:
    """A kind in words, also one that this version does not know."""
    return ABOUT.get(name) or About(f"a run of the kind {name!r}", "this version does not know it")


def mismatch(path: str | os.PathLike[str], found: str, wanted: str) -> str:
    """What to say of a folder that holds another kind than is wanted, by their names."""
    told = about(found)
    use = told.use.format(path=os.fspath(path))
    return f"{os.fspath(path)} holds {told.what}, not {about(wanted).what}: {use}"


def name_of(data: Mapping[str, Any], mark: str) -> str:
    """The name of a kind from the JSON data of its mark.

    Args:
        data: what the file holds.
        mark: the file's name, `RUN` or `SWEEP`.

    Raises:
        ValueError: what is said of the kind is no text.
    """
    if FIELD in data:
        if not isinstance(name := data[FIELD], str):
            raise ValueError(f"{FIELD} in {mark} is {name!r}; it must be text, such as 'train'")
        return name
    # Folders from before kinds were written down are known by the fields that one kind alone has.
    if mark == SWEEP:
        return "meta-sweep" if "points" in data else "sweep"
    if "objectives" in data:
        return "meta-test"
    return "meta-train" if "generations" in data else "train"


def with_kind(kind: Kind, data: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON data of a configuration or plan with its kind, as its file holds it."""
    return {FIELD: kind.name, **data}


def without_kind(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `with_kind` was given."""
    return {name: value for name, value in data.items() if name != FIELD}
