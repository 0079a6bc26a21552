"""The folder of a report: what may be written over, and what an earlier report left there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from jaxrl_evolve.results.report.runs import ReportError

TEXT, TITLE = "report.md", "# Report"
"""The file by which a report is known, and its first line."""
_FILES = (
    TEXT, "results.csv", "returns.csv", "meta_trainings.csv",
    "final_returns.png", "learning_curves.png", "aggregates.png", "probability_of_improvement.png",
    "loops.csv", "specs.csv", "skills.csv", "loops_steps.png", "loops_success.png",
)  # fmt: skip
_OF_LOOPS = re.compile(r"loop_\d+_(tree|skills|maps)\.png")


def _ours(name: str) -> bool:
    return name in _FILES or _OF_LOOPS.fullmatch(name) is not None


def check_out(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier report; names that begin with a dot are nobody's.

    Raises:
        ReportError: naming what lies there.
    """
    try:
        there = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        ours = not there or (
            TEXT in there and (out / TEXT).read_text(encoding="utf-8").startswith(f"{TITLE}\n")
        )
    except OSError:  # there is none, or writing will say what is wrong
        return
    except UnicodeDecodeError:
        there, ours = [TEXT], False
    foreign = [name for name in there if not _ours(name)] or ([] if ours else there)
    if foreign:
        raise ReportError(
            f"will not write over {out}: it holds {', '.join(foreign[:3])}, and not a report alone; give another --out"
        )


def clear(out: Path, written: Iterable[Path]) -> None:
    """Delete what an earlier report left and this one has not: it would be taken for a part of it."""
    kept = {path.name for path in written}
    for path in list(out.iterdir()):
        if _ours(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)
