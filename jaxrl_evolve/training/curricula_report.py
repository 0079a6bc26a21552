"""What the benchmark of curricula says: success on all levels, on the worst and on named mazes, with what it took to get there."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl_evolve.results.report.text import csv_text, markdown_table, number, with_bounds
from jaxrl_evolve.results.statistics import caution
from jaxrl_evolve.settings.rows import SCORING_STEPS
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.folder import read_json, write_text
from jaxrl_evolve.training.outcome import estimate_iqm

OUTCOME, ROWS = kinds.LEVEL_FILES
"""What a tested run folder holds besides: the answer of `evaluate_levels`, with what was asked, and its rows."""

BASELINE = "random"
"""Domain randomisation, which says whether the task can tell curricula apart."""
EASY_SHARE, FAIR = 0.1, (0.2, 0.8)
"""Its success on this share of its worst levels must lie between these."""


class Tested(NamedTuple):
    """A run folder of several seeds that was tested level by level.

    Attributes:
        label: of its curriculum.
        folder: the run folder.
        result: its ``result.json``.
        outcome: its `OUTCOME`.
    """

    label: str
    folder: Path
    result: Mapping[str, Any]
    outcome: Mapping[str, Any]

    @classmethod
    def read(cls, label: str, folder: Path) -> Tested:
        """Of a folder that has been tested."""
        return cls(label, folder, read_json(folder / "result.json"), read_json(folder / OUTCOME))

    def scores(self) -> dict[str, np.ndarray]:
        """Scores of its runs by column, float64 ``[runs]``; NaN where a run diverged."""
        found = {"all": self.outcome["all"]["runs"]}
        for entry in self.outcome["cvar"]:
            found[worst(entry["share"])] = entry["runs"]
        for entry in self.outcome["cvar"]:
            found[f"{worst(entry['share'])}, biased"] = entry["biased"]
        found |= {entry["env"]: entry["all"]["runs"] for entry in self.outcome.get("held_out", ())}
        return {name: np.array(runs, np.float64) for name, runs in found.items()}


class CurriculaReport(NamedTuple):
    """What was written.

    Attributes:
        markdown: of ``report.md``.
        files: all of them.
    """

    markdown: str
    files: tuple[Path, ...]


def worst(share: float) -> str:
    """The column of the worst share of levels."""
    return f"worst {100 * share:g} %"


def curricula_report(tested: Sequence[Tested], out: Path, about: Sequence[str]) -> CurriculaReport:
    """``report.md``, ``runs.csv`` (a row for each seed) and ``levels.csv`` (a row for each curriculum and level).

    Args:
        tested: of one protocol, at least one; those of one label are seeds of one curriculum.
        out: folder to write.
        about: paragraphs on how it was made.
    """
    together: dict[str, list[Tested]] = {}
    for cell in tested:
        together.setdefault(cell.label, []).append(cell)
    texts = {
        "report.md": _markdown(together, about),
        "runs.csv": _runs_csv(tested),
        "levels.csv": _levels_csv(together),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return CurriculaReport(texts["report.md"], tuple(out / name for name in texts))


def _joined(cells: Sequence[Tested]) -> dict[str, np.ndarray]:
    each = [cell.scores() for cell in cells]
    return {name: np.concatenate([scores[name] for scores in each]) for name in each[0]}


def _markdown(together: Mapping[str, Sequence[Tested]], about: Sequence[str]) -> str:
    scores = {label: _joined(cells) for label, cells in together.items()}
    first = next(iter(together.values()))[0]
    shares = [worst(entry["share"]) for entry in first.outcome["cvar"]]
    header = [
        *("Curriculum", "Seeds", "All levels", *(share.capitalize() for share in shares)),
        *("Training steps", "Scoring steps", "Seconds"),
    ]
    lines = []
    for label, cells in together.items():
        own, result = scores[label], cells[0].result
        lines.append(
            [
                *(label, own["all"].size, *(with_bounds(estimate_iqm(own[x])) for x in ("all", *shares))),
                *(f"{result['env_steps']:,}", f"{result.get(SCORING_STEPS, 0):,}"),
                number(sum(cell.result["run_seconds"] for cell in cells)),
            ]
        )
    parts = ["# Curricula on mazes", *about, markdown_table(header, lines), _fairness(scores)]
    cautions = {label: caution(own["all"].size) for label, own in scores.items()}
    for few in filter(None, dict.fromkeys(cautions.values())):
        parts.append(f"Of {', '.join(label for label, said in cautions.items() if said == few)}: {few}.")
    if named := [entry["env"] for entry in first.outcome.get("held_out", ())]:
        rows = [
            [label, *(number(estimate_iqm(own[env]).value) for env in named)] for label, own in scores.items()
        ]
        limits = sorted({str(entry.get("max_steps", "none")) for entry in first.outcome["held_out"]})
        parts += [
            "## Named mazes",
            f"Interquartile means over seeds of success within {' or '.join(limits)} steps, of mazes that nobody trained on.",
            markdown_table(["Curriculum", *(env.rpartition("/")[2] for env in named)], rows),
        ]
    return "\n\n".join(parts) + "\n"


def _fairness(scores: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Whether the task is neither too easy nor too hard for a comparison."""
    low, high = FAIR
    column = worst(EASY_SHARE)
    if BASELINE not in scores or column not in scores[BASELINE]:
        return (
            f"Whether the task can tell curricula apart is not known: `{BASELINE}` is not here, whose success on its {column} of "
            f"levels must lie between {low} and {high}."
        )
    value = estimate_iqm(scores[BASELINE][column]).value
    fits = (
        "as it must" if low <= value <= high else f"but must: it is too {'easy' if value > high else 'hard'}"
    )
    lies = "lies" if low <= value <= high else "does not lie"
    return f"The task: success of `{BASELINE}` on its {column} of levels, {number(value)}, {lies} between {low} and {high}, {fits}."


def _runs_csv(tested: Sequence[Tested]) -> str:
    facts = ("env_steps", SCORING_STEPS, "run_seconds")
    columns, lines = list(tested[0].scores()), []
    for cell in tested:
        scores = cell.scores()
        for run in range(scores["all"].size):
            own = [scores[name][run] for name in columns]
            lines.append(
                [cell.label, cell.result["seed"], run, *own, *(cell.result.get(fact, 0) for fact in facts)]
            )
    return csv_text(["curriculum", "root_seed", "run", *columns, *facts], lines)


def _levels_csv(together: Mapping[str, Sequence[Tested]]) -> str:
    """Over all seeds of a curriculum, on each level: mean success, that of the worst seed, length, what could be had."""
    lines = []
    for label, cells in together.items():
        levels: dict[tuple[str, int], list[dict[str, str]]] = {}
        for cell in cells:
            for row in csv.DictReader(io.StringIO((cell.folder / ROWS).read_text())):
                levels.setdefault((row["env"], int(row["level"])), []).append(row)
        for (env, level), rows in levels.items():
            values = lambda name, rows=rows: np.array([float(row[name] or "nan") for row in rows])
            scores = (values("first") + values("second")) / 2
            fine = np.isfinite(scores)
            if not fine.any():
                continue
            means = (scores[fine].mean(), scores[fine].min(), values("length")[fine].mean())
            lines.append([label, env, level, *map(float, means), float(values("best_return")[0])])
    return csv_text(["curriculum", "env", "level", "score", "worst_run", "length", "best_return"], lines)
