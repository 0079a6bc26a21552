"""What a resumed run cannot promise, in words. Light to import."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxrl_evolve.settings.notices import Notice

_SHOWN = 5


class ResumeWarning(Notice, UserWarning):
    """A resumed run is not the uninterrupted one to the bit, lacks rows of it, or begins again."""


class Due(NamedTuple):
    """The rows that a run has written when it is so far.

    Attributes:
        name: the column that counts what a checkpoint's step counts.
        numbers: what the rows have there, rising.
    """

    name: str
    numbers: Sequence[int]


def warn(text: str) -> None:
    """Say what is not as it would have been."""
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


def lost_end(out: str | os.PathLike[str], steps: Sequence[int], end: int | None) -> str:
    """A sentence if the checkpoint of a finished run's end is gone, or nothing.

    Args:
        out: its folder.
        steps: of the checkpoints that are there.
        end: of the last one; None if that is not known.
    """
    if end is None or end in steps:
        return ""
    cure = f"resume --step {steps[-1]} goes on from an earlier one" if steps else "--overwrite trains it anew"
    return (
        f"the run in {os.fspath(out)} is finished, but the checkpoint of its end (step {end}) is gone, so there is "
        f"nothing to resume; {cure}"
    )


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
