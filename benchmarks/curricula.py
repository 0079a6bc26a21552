"""Curricula on mazes at equal steps, those that only score levels counted: success on all levels and on the worst.

    python benchmarks/curricula.py methods|factors [--protocol small|published] [--only NAME ...] [--anyway] [--table]

runs ``jaxrl-evolve benchmark curricula`` on the curricula of a suite into ``runs/curricula``, keeps a row for each seed of all suites in
``benchmarks/results/curricula_<protocol>.csv`` (what they were made with in ``.json``), and makes the page ``curricula_<suite>.md`` (with the protocol's name, if
that is not the small one) of that table alone; ``--table`` does only that. A cell that is there is not run again. Trained first is what the task is judged by: where
domain randomisation is too good or too bad on its worst levels, nothing else is trained but with ``--anyway``. A curriculum whose seeds all diverge is left out, and
the others go on. Other numbers of seeds and steps go into other folders: ``--out`` and ``--results``.

What is compared, what must hold of the task beforehand, and the primary outcome are in ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learning import RESULTS, ROOT

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.results.report.text import csv_text
from jaxrl_evolve.storage.folder import read_json, write_json, write_text
from jaxrl_evolve.training.curricula_benchmark import about, benchmark_curricula, tested_cells
from jaxrl_evolve.training.curricula_report import BASELINE, CONTROLS, curricula_markdown, fairness
from jaxrl_evolve.training.curricula_suite import METHODS, PROTOCOLS
from jaxrl_evolve.training.interrupts import Diverged

RUNS = ROOT / "runs" / "curricula"
SEEDS = 10
_TWICE = "repeats=True unique=False"
SUITES = {
    "methods": METHODS,
    # Level replay as it is here, four suspects for why it is weak in published results, each by itself: sharp ranks, levels drawn again within
    # a batch, the maximum of the last visit, and only the highest scores: of which a batch replays as many, or the one highest, as published runs draw.
    # Top-k has no temperature, so there are two that have all: by sharp ranks, and by the one highest score.
    "factors": (
        *CONTROLS.values(),
        *("plr", "plr temperature=0.3", f"plr {_TWICE}", "plr best=last"),
        *("plr prioritisation=top-k top=128", "plr prioritisation=top-k top=1"),
        f"plr temperature=0.3 {_TWICE} best=last",
        f"plr prioritisation=top-k top=1 {_TWICE} best=last",
    ),
}
"""Curricula with their options; the same ones are the same cells in both suites."""


def stored(results: Path, protocol: str) -> list[dict[str, str]]:
    """Rows of the table."""
    path = results / f"curricula_{protocol}.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def take(protocol: str, out: Path, results: Path) -> None:
    """Put the cells that are there into the table; rows of others stay.

    Raises:
        SystemExit: they are of other sizes than those of the table.
    """
    cells = tested_cells(out, protocol)
    if not cells:
        return
    sizes, kept = read_json(out / f"{protocol}.json"), results / f"curricula_{protocol}.json"
    if kept.is_file() and read_json(kept) != sizes:
        raise SystemExit(f"{out} has cells of other sizes than those of {kept}; give another --results")
    new = [row for cell in cells for row in cell.rows()]
    cell_of = lambda row: (row["curriculum"], str(row["root_seed"]))
    anew = {cell_of(row) for row in new}
    rows: Sequence[Mapping[str, Any]] = [
        *(row for row in stored(results, protocol) if cell_of(row) not in anew),
        *new,
    ]
    columns = list(new[0])
    write_json(kept, sizes)
    text = csv_text(columns, [[row[name] for name in columns] for row in rows])
    write_text(results / f"curricula_{protocol}.csv", text)


def page(suite: str, protocol: str, results: Path, notes: Sequence[str] = ()) -> None:
    """A suite's page, of the table alone, which names what is missing."""
    rows = stored(results, protocol)
    ordered = [row for label in SUITES[suite] for row in rows if row["curriculum"] == label]
    if not ordered:
        raise SystemExit(f"{results} has no rows of {suite} by the protocol {protocol}")
    told = about(protocol, json.loads((results / f"curricula_{protocol}.json").read_text()))
    there = {row["curriculum"] for row in ordered}
    if missing := [f"`{label}`" for label in SUITES[suite] if label not in there]:
        notes = (*notes, f"Missing: {', '.join(missing)}.")
    name = f"curricula_{suite}{'' if protocol == 'small' else f'_{protocol}'}"
    made = curricula_markdown(ordered, [*told, *notes])
    write_text(results / f"{name}.md", f"{made}\n`python benchmarks/curricula.py {suite}`.\n")


def judged(protocol: str, results: Path) -> None:
    """Refuse to go on with a task that says nothing of curricula.

    Raises:
        SystemExit: domain randomisation is too good or too bad on its worst levels.
    """
    found = fairness(stored(results, protocol))
    if found is not None and not found[1]:
        raise SystemExit(
            f"{BASELINE} has {found[0]:.3f} on its worst levels: this task cannot tell curricula apart, and nothing else is trained (--anyway does)"
        )


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="small")
    parser.add_argument(
        "--only", nargs="*", default=None, help="some of the suite's, as they are written there"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--anyway", action="store_true", help="train on a task that cannot tell them apart")
    parser.add_argument(
        "--table", action="store_true", help="make the page of the stored rows, and run nothing"
    )
    given = parser.parse_args(words)
    chosen = SUITES[given.suite] if given.only is None else given.only
    if unknown := [name for name in chosen if name not in SUITES[given.suite]]:
        parser.error(
            f"--only has {unknown[0]!r}; it must be among {', '.join(map(repr, SUITES[given.suite]))}"
        )
    if (given.seeds != SEEDS or given.steps is not None) and (given.results == RESULTS or given.out == RUNS):
        parser.error(
            "other numbers of seeds and steps than the table's need folders of their own: --out and --results"
        )
    # What the task is judged by comes first.
    given.only = sorted(chosen, key=lambda name: name != BASELINE)
    return given


def main(words: Sequence[str] | None = None) -> None:
    """Train, test and write."""
    given = parse(words)
    given.results.mkdir(parents=True, exist_ok=True)
    sizes, notes = {"seeds": given.seeds, "steps": given.steps}, list[str]()
    if not given.table:
        use_compilation_cache()
        for name in given.only:  # one after the other, so that the page is there after each
            if name != BASELINE and not given.anyway:
                judged(given.protocol, given.results)
            try:
                benchmark_curricula(given.out, presets=[name], protocol=given.protocol, **sizes, quiet=False)
            except Diverged as error:
                notes.append(f"{name} is left out: {error}.")
                continue
            take(given.protocol, given.out, given.results)
            page(given.suite, given.protocol, given.results, notes)
    page(given.suite, given.protocol, given.results, notes)


if __name__ == "__main__":
    main()
