"""What the benchmark of curricula says: success on all levels, on the worst and on named mazes, with what it took to get there."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl_evolve.results.hypotheses import contrast, holm
from jaxrl_evolve.results.report.text import csv_text, markdown_table, number, with_bounds
from jaxrl_evolve.results.resampling import clean
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
BIASED = ", biased"
"""Ends the columns of scores by the very episodes that say which levels are the worst."""


CONTROLS = {"True": "random restart=True", "False": "random"}
"""What differs from a curriculum in the choice of tasks alone, by whether its episodes begin with every rollout."""
FACTS = ("env_steps", SCORING_STEPS, "run_seconds", "named_limit", "hardware", "versions", "commit")
"""Of a row besides its scores."""

Row = Mapping[str, Any]
"""Of one seed: `rows_of`, or as it is read from ``runs.csv``."""


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
            found[f"{worst(entry['share'])}{BIASED}"] = entry["biased"]
        found |= {entry["env"]: entry["all"]["runs"] for entry in self.outcome.get("held_out", ())}
        return {name: np.array(runs, np.float64) for name, runs in found.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Of each seed: what it is, its scores, and where they come from."""
        scores, result = self.scores(), self.result
        device, git = result.get("device", {}), result.get("git") or {}
        limits = sorted({str(entry.get("max_steps", "none")) for entry in self.outcome.get("held_out", ())})
        facts = {
            "named_limit": " or ".join(limits),
            "hardware": f"{device.get('processor') or device.get('kind')}, {device.get('cpu_cores')} cores"
            if device
            else "",
            "versions": " ".join(
                f"{name}={result['versions'].get(name)}" for name in ("python", "jax") if "versions" in result
            ),
            "commit": f"{git['commit']}{'+' if git.get('dirty') else ''}" if git else "",
        }
        of_all = {fact: facts.get(fact, result.get(fact, 0)) for fact in FACTS}
        begin = {
            "curriculum": self.label,
            "restart": self.outcome.get("restart", ""),
            "root_seed": result["seed"],
        }
        return [
            {**begin, "run": run, **{name: values[run] for name, values in scores.items()}, **of_all}
            for run in range(scores["all"].size)
        ]


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
    rows = [row for cells in together.values() for cell in cells for row in cell.rows()]
    columns = list(rows[0])
    texts = {
        "report.md": curricula_markdown(rows, about),
        "runs.csv": csv_text(columns, [[row[name] for name in columns] for row in rows]),
        "levels.csv": _levels_csv(together),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return CurriculaReport(texts["report.md"], tuple(out / name for name in texts))


def curricula_markdown(rows: Sequence[Row], about: Sequence[str]) -> str:
    """The page of rows, also of those that were read from ``runs.csv``; curricula in the order of the rows.

    Args:
        rows: of one protocol, at least one.
        about: paragraphs on how they were made.
    """
    together: dict[str, list[Row]] = {}
    for row in rows:
        together.setdefault(row["curriculum"], []).append(row)
    shares = [name for name in rows[0] if name.startswith("worst ") and not name.endswith(BIASED)]
    header = [
        *("Curriculum", "Seeds", "Diverged", "All levels", *(share.capitalize() for share in shares)),
        *("Training steps", "Scoring steps", "Seconds"),
    ]
    lines = []
    for label, own in together.items():
        scores = [_column(own, name) for name in ("all", *shares)]
        seconds = {row["root_seed"]: float(row["run_seconds"]) for row in own}
        lines.append(
            [
                *(
                    label,
                    len(own),
                    int(np.isnan(scores[0]).sum()),
                    *(with_bounds(estimate_iqm(x)) for x in scores),
                ),
                *(f"{int(own[0][name]):,}" for name in ("env_steps", SCORING_STEPS)),
                number(sum(seconds.values())),
            ]
        )
    parts = ["# Curricula on mazes", *about, markdown_table(header, lines), _fairness(together)]
    cautions = {label: caution(len(own)) for label, own in together.items()}
    for few in filter(None, dict.fromkeys(cautions.values())):
        parts.append(f"Of {', '.join(label for label, said in cautions.items() if said == few)}: {few}.")
    parts += [*_beside(together), *_named(together), _origin(rows)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    """Of rows, float64; NaN where nothing is said."""
    return np.array([np.nan if row[name] in ("", None) else float(row[name]) for row in rows])


def fairness(rows: Sequence[Row]) -> tuple[float, bool] | None:
    """Success of `BASELINE` on its worst levels, and whether it lies where curricula can be told apart; None without it."""
    column, own = worst(EASY_SHARE), [row for row in rows if row["curriculum"] == BASELINE]
    if not own or column not in own[0]:
        return None
    value = estimate_iqm(_column(own, column)).value
    return value, FAIR[0] <= value <= FAIR[1]


def _fairness(together: Mapping[str, Sequence[Row]]) -> str:
    """Whether the task is neither too easy nor too hard for a comparison."""
    low, high = FAIR
    column, found = worst(EASY_SHARE), fairness(together.get(BASELINE, ()))
    if found is None:
        return (
            f"Whether the task can tell curricula apart is not known: `{BASELINE}` is not here, whose success on its {column} of "
            f"levels must lie between {low} and {high}."
        )
    value, fits = found
    said = "as it must" if fits else f"but must: it is too {'easy' if value > high else 'hard'}"
    lies = "lies" if fits else "does not lie"
    return f"The task: success of `{BASELINE}` on its {column} of levels, {number(value)}, {lies} between {low} and {high}, {said}."


def _beside(together: Mapping[str, Sequence[Row]]) -> list[str]:
    """The primary outcome: success on the worst levels less that of what chooses tasks at random, in pairs of seeds."""
    column, found = worst(EASY_SHARE), {}
    seeds = lambda rows: {(str(row["root_seed"]), str(row["run"])): i for i, row in enumerate(rows)}
    filled = lambda rows: clean(_column(rows, column), "worst")[:, 0]
    for label, own in together.items():
        control = CONTROLS.get(str(own[0]["restart"]))
        if label in CONTROLS.values() or control is None or control not in together or column not in own[0]:
            continue
        other = together[control]
        if not all(np.isfinite(_column(rows, column)).any() for rows in (own, other)):
            continue
        ours, theirs, a, b = seeds(own), seeds(other), filled(own), filled(other)
        pairs = [a[ours[seed]] - b[theirs[seed]] for seed in ours if seed in theirs]
        if len(pairs) >= 2:
            found[label] = (control, len(pairs), contrast([pairs], (1,)))
    if not found:
        return []
    two_sided = [min(1.0, 2 * min(test.above, test.below)) for *_, test in found.values()]
    lines = [
        [label, control, pairs, f"{test.value:+.3f} [{test.low:+.3f}, {test.high:+.3f}]", f"{p:.3g}", f"{held:.3g}"]
        for (label, (control, pairs, test)), p, held in zip(found.items(), two_sided, holm(two_sided), strict=True)
    ]  # fmt: skip
    return [
        "## Beside tasks chosen at random",
        f"The primary outcome: success on the {column} of levels, less that of the control, which differs in the choice of tasks alone. Means of pairs of seeds with Student's 95 % interval; p-values are two-sided, and corrected for all lines by "
        "Holm's method. A seed that diverged counts as the worst of its curriculum.",
        markdown_table(["Curriculum", "Less", "Pairs", "Difference", "p", "p, Holm"], lines),
    ]


def _named(together: Mapping[str, Sequence[Row]]) -> list[str]:
    first = next(iter(together.values()))[0]
    named = [name for name in first if "/" in name]
    if not named:
        return []
    rows = [
        [label, *(number(estimate_iqm(_column(own, env)).value) for env in named)]
        for label, own in together.items()
    ]
    return [
        "## Named mazes",
        f"Interquartile means over seeds of success within {first['named_limit']} steps, of mazes that nobody trained on.",
        markdown_table(["Curriculum", *(env.rpartition("/")[2] for env in named)], rows),
    ]


def _origin(rows: Sequence[Row]) -> str:
    """Where the rows come from."""
    told = []
    for name in ("hardware", "versions", "commit"):
        if values := [x for x in dict.fromkeys(str(row[name]) for row in rows) if x]:
            told.append(f"{name.capitalize()}: {', '.join(f'`{x}`' for x in values)}.")
    return " ".join(told)


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
