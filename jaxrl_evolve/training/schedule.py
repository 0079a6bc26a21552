"""When a run logs, evaluates and saves: whole numbers of updates, spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Stop(NamedTuple):
    """A moment at which the host takes over.

    Attributes:
        updates: updates made by then.
        evaluate: whether to evaluate.
        save: whether to write a checkpoint.
    """

    updates: int
    evaluate: bool
    save: bool


def rows_due(ends: Sequence[int], rows: int, updates: int) -> list[int]:
    """The updates that have a row when so many are made.

    Args:
        ends: updates of the whole run; of one that was given more, those that it was to have before, too, rising.
        rows: as in `stops`.
        updates: made.
    """
    due: list[int] = []
    for end in ends:
        begun = due[-1] if due else 0
        due += [stop.updates for stop in stops(end, rows, 1, 1) if stop.updates > begun]
    return [number for number in due if number <= updates]


def stops(updates: int, rows: int, evaluations: int, checkpoints: int) -> list[Stop]:
    """The stops of a run of ``updates`` updates; the last evaluates and saves.

    There are ``rows`` of them, or as many as there are updates. Evaluations and checkpoints fall on rows, as
    evenly as rows allow.
    """
    rows = min(rows, updates)

    def due(row: int, times: int) -> bool:
        return (row + 1) * times // rows > row * times // rows

    return [
        Stop((row + 1) * updates // rows, due(row, min(evaluations, rows)), due(row, min(checkpoints, rows)))
        for row in range(rows)
    ]
