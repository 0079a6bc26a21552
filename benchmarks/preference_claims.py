"""The claims of the paper of SPO (Swamy et al. 2024, arXiv 2401.04056), each by the test that decides it, from stored rows alone.

    python benchmarks/preference_claims.py [--results DIR]

writes ``benchmarks/results/preference_claims.csv`` and ``.md``. Written down before any of the studies `mixtures`, `nonmarkov` and `hopper` was run:

- **C1** Self-play finds the Minimax Winner of groups in varying proportions. Four mixtures of three groups who judge sectors; the exploitability of the average
  of the second half of training, of EMA-SPO, is below 0.03 in advantage units. One-sided Student's test over seeds in each mixture, and the largest p-value of
  the four (all must hold).
- **C2** It learns from less experience than a reward model does, without noise. The area under the curve of training returns over environment steps, divided by
  their number, of SPO-PPO is larger than that of the reward model on PPO, at equal labels on hopper. One-sided Welch's test.
- **C3** It loses less to noise. What 30 % flips take from the final return is less for SPO-PPO than for the reward model on PPO, at equal labels on hopper.
  One-sided test of the difference of differences, by Welch and Satterthwaite.
- **C4** It learns what no reward of single steps says. On Pendulum, SPO wins more than half against the reward model by the non-Markov preference, at equal
  labels. One-sided test of the mean over all pairs of seeds; its variance is that of both sides' means (a two-sample U-statistic).

A claim is *supported* where its p-value, by Holm's correction over the four, is below 0.05; *contradicted* where that of the opposite is, corrected likewise; else
*undecided*. One of which cells are missing counts as 1 in the correction and says which. Seeds that are lost count as the worst of their cell, in a tournament as
losing to all. Pairs on SAC and with plenty of labels are told beside, and decide nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from learning import RESULTS
from preference_control import read
from preference_control_hopper import MANY_LABELS
from preference_control_studies import MIXTURES, SHARES, exploitability_of_shares, mixture_name

from jaxrl_evolve.results.hypotheses import Contrast, contrast, holm, judged
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.results.resampling import clean
from jaxrl_evolve.storage.folder import write_text

BAR, LEVEL = 0.03, 0.05
COLUMNS = (
    "claim",
    "value",
    "low",
    "high",
    "p",
    "p_opposite",
    "p_holm",
    "p_opposite_holm",
    "verdict",
    "missing",
)


class Missing(Exception):
    """Cells that are not in the store."""


class Finding(NamedTuple):
    """What a test has found.

    Attributes:
        value: of what is tested.
        low: of its 95 % interval.
        high: likewise.
        p: of the claim.
        opposite: of its opposite.
    """

    value: float
    low: float
    high: float
    p: float
    opposite: float


class Store(NamedTuple):
    """Stored rows, in a folder."""

    folder: Path

    def rows(self, table: str, cells: Sequence[str]) -> dict[str, list[dict[str, str]]]:
        """Of cells, seeds in order.

        Raises:
            Missing: some are not there.
        """
        there = read(self.folder / f"preference_{table}.csv")
        found = {cell: [row for row in there if row["cell"] == cell] for cell in cells}
        if lost := [f"{table}: {cell}" for cell, rows in found.items() if len({r["seed"] for r in rows}) < 2]:
            raise Missing("; ".join(lost))
        return found

    def returns(self, cells: Sequence[str]) -> list[np.ndarray]:
        """Final returns of seeds on hopper; one that is lost has the worst of its cell.

        Raises:
            Missing: some are not there, or all seeds of a cell are lost.
        """
        found = self.rows("hopper", cells)
        return [_worst([row["eval_return"] for row in found[cell]], cell) for cell in cells]

    def areas(self, cells: Sequence[str]) -> list[np.ndarray]:
        """Areas under learning curves on hopper over their length, of seeds."""
        self.rows("hopper", cells)
        found = self.rows("hopper_curves", cells)
        return [_worst([area(own) for own in _by_seed(found[cell])], cell) for cell in cells]


def _by_seed(rows: Sequence[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    seeds = sorted({row["seed"] for row in rows}, key=int)
    return [[row for row in rows if row["seed"] == seed] for seed in seeds]


def _worst(values: Sequence[str | float], cell: str) -> np.ndarray:
    numbers = [float(value) if value != "" else np.nan for value in values]
    if not np.isfinite(numbers).any():
        raise Missing(f"hopper: {cell}, of which all seeds are lost")
    return clean(numbers, "worst")[:, 0]


def area(rows: Sequence[Mapping[str, str]]) -> float:
    """Under the curve of returns over environment steps, over their number; NaN if there are fewer than two points.

    Rows without a return, in which no episode ended, are bridged in a straight line.
    """
    points = sorted((float(r["env_steps"]), float(r["episode_return"])) for r in rows if r["episode_return"])
    if len(points) < 2:
        return float("nan")
    steps, values = np.array(points).T
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def winners(store: Store) -> Finding:
    """C1: the mixture that is farthest above stands for all."""
    tables = {"sectors": {"EMA-SPO": SHARES}, "mixtures": {mixture_name(s): s for s in MIXTURES}}
    tests, lost = [], []
    for table, cells in tables.items():
        try:
            found = store.rows(table, [*cells])
        except Missing as missing:
            lost.append(str(missing))
            continue
        for cell, judges in cells.items():
            # As the policies' shares say, whatever the column that was written with them.
            shares = [[float(x) for x in row["shares"].split()] for row in found[cell]]
            exploited = [exploitability_of_shares(x, judges) for x in shares]
            tests.append(contrast([exploited], (1,), bound=BAR))
    if lost:
        raise Missing("; ".join(lost))
    far = max(tests, key=lambda test: test.value)
    opposite = min(1.0, len(tests) * min(test.above for test in tests))
    return Finding(far.value, far.low, far.high, max(test.below for test in tests), opposite)


def _larger(found: Contrast) -> Finding:
    return Finding(found.value, found.low, found.high, found.above, found.below)


def efficient(store: Store, one: str = "SPO-PPO", other: str = "reward model, PPO") -> Finding:
    """C2: the difference of areas."""
    return _larger(contrast(store.areas([f"{name}, no flips" for name in (one, other)]), (1, -1)))


def robust(store: Store, one: str = "SPO-PPO", other: str = "reward model, PPO") -> Finding:
    """C3: by how much less flips take from the first than from the second."""
    cells = [f"{name}, {told}" for name in (one, other) for told in ("no flips", "30 % flips")]
    return _larger(contrast(store.returns(cells), (-1, 1, 1, -1)))


def general(store: Store, one: str = "SPO", other: str = "reward model") -> Finding:
    """C4: the mean win rate of the first against the second."""
    found = store.rows("nonmarkov", [one, other])
    met = read(store.folder / "preference_nonmarkov_tournament.csv")
    folder = lambda name: name.replace(" ", "_")
    rates = {(r["entry"], r["other"]): float(r["win_rate"]) for r in met}
    if not rates:
        raise Missing("nonmarkov: the tournament")
    ours, theirs = ([f"{folder(name)}:{row['seed']}" for row in found[name]] for name in (one, other))
    took_part = {entry for entry, _ in rates}
    lost = lambda i, j: 0.0 if i not in took_part else 1.0 if j not in took_part else rates[i, j]
    matrix = np.array([[lost(i, j) for j in theirs] for i in ours])
    parts = [matrix.mean(axis).var(ddof=1) / size for axis, size in ((1, len(ours)), (0, len(theirs)))]
    return _larger(judged(float(matrix.mean()), parts, [len(ours), len(theirs)], 0.5))


CLAIMS: dict[str, tuple[str, Callable[[Store], Finding]]] = {
    "C1": ("exploitability in the worst of four mixtures, below 0.03", winners),
    "C2": ("area under the curve, SPO less reward model, above 0", efficient),
    "C3": ("what flips take, reward model less SPO, above 0", robust),
    "C4": ("win rate of SPO against the reward model, above 1/2", general),
}
_MANY = ("SPO-PPO, all pairs", f"reward model, PPO, {MANY_LABELS:,} labels")
_SAC = ("SPO-SAC", "reward model, SAC")
BESIDE: dict[str, Callable[[Store], Finding]] = {
    "C2 with plenty of labels": lambda store: efficient(store, *_MANY),
    "C3 with plenty of labels": lambda store: robust(store, *_MANY),
    "C2 on SAC": lambda store: efficient(store, *_SAC),
    "C3 on SAC": lambda store: robust(store, *_SAC),
    "C4 with all pairs": lambda store: general(store, "SPO, all pairs"),
}
"""What decides nothing, and is told without a correction."""


def decide(store: Store) -> list[dict[str, str]]:
    """A row for each claim, and for what is beside them."""
    found: dict[str, Finding | str] = {}
    for name, test in {**{name: test for name, (_, test) in CLAIMS.items()}, **BESIDE}.items():
        try:
            found[name] = test(store)
        except Missing as missing:
            found[name] = str(missing)
    number = lambda name, which: getattr(found[name], which) if isinstance(found[name], Finding) else 1.0
    adjusted = {which: holm([number(name, which) for name in CLAIMS]) for which in ("p", "opposite")}
    rows = []
    for i, (name, told) in enumerate(found.items()):
        row = {"claim": name, "missing": told if isinstance(told, str) else ""}
        if isinstance(told, Finding):
            row |= {which: f"{getattr(told, which):.4g}" for which in ("value", "low", "high", "p")}
            row["p_opposite"] = f"{told.opposite:.4g}"
        if name in CLAIMS:
            p, opposite = adjusted["p"][i], adjusted["opposite"][i]
            row |= {"p_holm": f"{p:.4g}", "p_opposite_holm": f"{opposite:.4g}"}
            row["verdict"] = "not run" if row["missing"] else _verdict(p, opposite)
        rows.append(row)
    return rows


def _verdict(p: float, opposite: float) -> str:
    return "supported" if p < LEVEL else "contradicted" if opposite < LEVEL else "undecided"


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """The page."""
    shown = lambda row: f"{row['value']} [{row['low']}, {row['high']}]" if "value" in row else ""
    claims = [
        [r["claim"], CLAIMS[r["claim"]][0], shown(r), r.get("p", ""), r["p_holm"], r["p_opposite_holm"], r["verdict"]]
        for r in rows
        if r["claim"] in CLAIMS
    ]  # fmt: skip
    beside = [
        [r["claim"], shown(r), r.get("p", ""), r.get("p_opposite", "")] for r in rows if r["claim"] in BESIDE
    ]
    lost = [f"- {r['claim']}: {r['missing']}" for r in rows if r["missing"]]
    parts = [
        "# The claims of SPO's paper",
        "What decides them stands at the head of `benchmarks/preference_claims.py`, where it stood before the runs. p-values are one-sided, by Holm's correction over the four claims, and those of the opposite likewise; intervals are of 95 %.",
        markdown_table(["", "What is tested", "Found", "p", "p, Holm", "Opposite, Holm", "Verdict"], claims),
        "## Beside them",
        "These decide nothing and are not corrected.",
        markdown_table(["", "Found", "p", "p of the opposite"], beside),
        *(["## Not in the store", "\n".join(lost)] if lost else []),
        "Command: `python benchmarks/preference_claims.py`.",
    ]
    return "\n\n".join(parts) + "\n"


def main(words: list[str] | None = None) -> None:
    """Read, decide, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    args = parser.parse_args(words)
    rows = decide(Store(args.results))
    path = args.results / "preference_claims.csv"
    write_text(path, csv_text(COLUMNS, [[row.get(name, "") for name in COLUMNS] for row in rows]))
    write_text(path.with_suffix(".md"), markdown(rows))
    for row in rows:
        print(f"{row['claim']}: {row.get('verdict', '')} {row['missing'] or row.get('value', '')}".rstrip())


if __name__ == "__main__":
    main()
