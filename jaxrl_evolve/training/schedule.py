"""When a run logs, evaluates and saves: whole numbers of updates, spread evenly."""

from __future__ import annotations

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
