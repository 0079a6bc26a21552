"""What came of every spec in a cycle, skill by skill, in a file: the counts of the device as shares with intervals.

A file for each cycle, beside where the loop stood; none is taken away. A loop that is killed writes the same file again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxrl_evolve.generation.feedback import Rate
from jaxrl_evolve.generation.setting import Setting
from jaxrl_evolve.generation.skill_table import SkillTable
from jaxrl_evolve.generation.standing import FOLDER, Standing
from jaxrl_evolve.storage.folder import write_json

EPISODES, WON, STEPS, SKILLS = 0, 1, 2, 3
"""Columns of `spec_counts`; those of skills begin with the last."""


def spec_counts(table: SkillTable) -> Int[np.ndarray, "specs columns"]:
    """Episodes, successes, steps, and episodes in which each skill was done, int64."""
    columns = np.stack([table.episodes, table.won, table.steps], 1)
    return np.concatenate([columns, np.asarray(table.done)], 1).astype(np.int64)


def write_skills(
    folder: Path,
    standing: Standing,
    setting: Setting,
    counts: Mapping[str, np.ndarray],
    success: float | None,
) -> None:
    """Write the table of a cycle.

    Args:
        folder: of the run.
        standing: after the cycle: its number, from 1, the specs, and what the evaluation in the original told.
        setting: whose columns say which skill is which, and what a spec hands out.
        counts: rows of `spec_counts` by identity, of what was trained on.
        success: share of the episodes in the original; not told where no skill was looked at in it.

    Raises:
        FolderError: it cannot be written.
    """
    cycle, entries = standing.done, standing.archive.entries
    rows = []
    for identity, row in counts.items():
        data, episodes = entries[identity].data, int(row[EPISODES])
        names, given = list(setting.columns(data)), set(setting.granted(data))
        of = lambda name, row=row, names=names: int(row[SKILLS + names.index(name)])
        skills = {
            skill.name: Rate.of(of(skill.name), episodes)
            for skill in setting.domain.skills
            if skill.name in names and skill.name not in given
        }
        won = Rate.of(int(row[WON]), episodes)
        rows.append({"spec": identity, "steps": int(row[STEPS]), "success": won, "skills": skills})
    evaluated = {name: report.rate for name, report in standing.feedback.skills.items()}
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    told: dict[str, Any] = {"cycle": cycle, "evaluated": evaluated, "trained": rows}
    if evaluated and success is not None:
        episodes = next(iter(evaluated.values())).episodes
        told["success"] = Rate.of(round(success * episodes), episodes)
    write_json(place / f"skills_{cycle:06d}.json", told)
