"""What a resumed run takes up beside its state, and in words what it cannot promise."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.folder import RunFolder, read_json
from jaxrl_evolve.storage.manifest import CheckpointError

_SHOWN = 5


class ResumeWarning(Notice, UserWarning):
    """A resumed run is not the uninterrupted one to the bit, lacks rows of it, begins again, or keeps what a file held."""


class Due(NamedTuple):
    """The rows that a run has written when it is so far.

    Attributes:
        name: the column that counts what a checkpoint's step counts.
        numbers: what the rows have there, rising.
    """

    name: str
    numbers: Sequence[int]


def warn(text: str) -> None:
    """Say what is not as it would have been, if anything."""
    if text:
        warnings.warn(text, ResumeWarning, stacklevel=3)


def other_bits(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """A sentence if bits may differ from here on, or nothing.

    Args:
        there: what `jaxrl_evolve.storage.provenance.numerics` gave where a checkpoint was written; what it does not
            have is not compared.
        here: the same, where the run goes on.
    """
    names = [name for name in here if name in there and there[name] != here[name]]
    if not names:
        return ""
    differing = ", ".join(
        f"{name} {_or_none(there[name])} there, {_or_none(here[name])} here" for name in names
    )
    return (
        f"the checkpoint was made under other conditions ({differing}): from here on the run is not the "
        "uninterrupted one to the bit"
    )


def check_end(folder: RunFolder, steps: Sequence[int], end: Callable[[Mapping[str, Any]], int]) -> None:
    """Refuse to train a finished run anew because its checkpoints were deleted.

    Args:
        folder: of the run.
        steps: of the checkpoints that are there.
        end: from the contents of ``result.json``, the step of the checkpoint that it was made from.

    Raises:
        CheckpointError: the run has a result, and neither the checkpoint of its end nor a later one, as a run has that
            was given more steps.
    """
    if not folder.result.exists():
        return
    last = end(read_json(folder.result))
    if last > max(steps, default=-1):
        cure = (
            f"resume --step {steps[-1]} goes on from an earlier one"
            if steps
            else "--overwrite trains it anew"
        )
        raise CheckpointError(
            f"the run in {folder.path} is finished, but the checkpoint of its end (step {last}) is gone, so there "
            f"is nothing to resume; {cure}"
        )


def rows_until(path: Path, resume_at: int, due: Due | None, steps: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of an earlier part of a run, oldest first; warns of those that are missing.

    Args:
        path: the file that has them.
        resume_at: up to this number of environment steps.
        due: those that should be there; None warns of none.
        steps: of the checkpoints.

    Raises:
        SinkError: one is damaged.
    """
    rows = sinks.read_jsonl(path, resume_at) if path.exists() else []
    if due:
        warn(missing_rows(rows, due, steps))
    return rows


def missing_rows(rows: Sequence[Mapping[str, Any]], due: Due, steps: Sequence[int]) -> str:
    """A sentence if rows are missing, or nothing.

    Args:
        rows: that are there.
        due: those that should be.
        steps: of the checkpoints.
    """
    there = {row.get(due.name) for row in rows}
    missing = [number for number in due.numbers if number not in there]
    if not missing:
        return ""
    told = ", ".join(f"{number:,}" for number in missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
    earlier = [step for step in steps if step < missing[0]]
    cure = f"; resume --step {earlier[-1]} makes them anew" if earlier else ""
    return (
        f"metrics.jsonl lacks {len(missing):,} of the {len(due.numbers):,} rows up to the checkpoint, with "
        f"{due.name} {told}{cure}"
    )


def _or_none(value: Any) -> str:
    return str(value) if value not in (None, "") else "none"
