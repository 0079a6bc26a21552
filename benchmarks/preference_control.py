"""Control learned from comparisons: tables of the studies that ``benchmarks/README.md`` describes.

    python benchmarks/preference_control.py STUDY [--only CELL ...] [--seeds N] [--steps N] [--table]

with the studies sectors, mixtures, pendulum, nonmarkov, tune, hopper, gate and populations writes ``benchmarks/results/preference_<study>.csv`` and ``.md``. A
cell that is in the table is not run again; one that was interrupted goes on from its last checkpoint in ``runs/preference_control``; ``--table`` makes the table
anew of the rows that are there, and runs nothing. ``nonmarkov``, ``gate`` and ``populations`` end with a tournament of what their cells have learned. Processes
may train different cells into one table.

``tune`` and ``gate``, by which things are chosen, have root seed 100 and are kept in ``benchmarks/results/preference_tuning``: ``hopper`` and ``populations`` take
their step sizes from there, and ``populations`` is run only where ``gate`` has passed. Other seeds than those of a reported table, and other sizes, go into
another folder: ``--results``.
"""

from __future__ import annotations

import argparse
import csv
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from learning import RESULTS, ROOT, hardware
from preference_control_cells import Cell, Study
from preference_control_gate import cyclic_triples
from preference_control_hopper import TUNING, chosen, with_step_size
from preference_control_studies import STUDIES
from preference_control_table import markdown

import jaxrl_evolve
from jaxrl_evolve.results.report.text import csv_text
from jaxrl_evolve.self_play.players import asked
from jaxrl_evolve.storage.folder import write_text
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.train import train

COLUMNS = (
    *("cell", "seed", "root_seed", "env_steps", "queries", "eval_return", "train_return"),
    *("average", "late", "last", "shares", "diverged", "run_seconds", "compile_seconds", "learning_rate"),
    *("hardware", "versions", "date", "commit", "dirty"),
)


def settings_of(
    study: Study, cell: Cell, steps: int, seeds: int, seed: int, tuning: Path = TUNING
) -> TrainConfig:
    """The configuration of a cell, with the step size that was chosen for its arm where it takes that."""
    final = {"mode": "sample", "times": 1, "episodes": 32, "final_episodes": study.final_episodes}
    own = cell.changes
    if cell.tuned:
        rate = chosen(read(tuning / "preference_tune.csv"), cell.tuned)
        if rate is None:
            raise SystemExit(
                f"{cell.name} takes the step size of {cell.tuned}, of which {tuning} has not all: run the study tune first"
            )
        own = with_step_size(own, cell.algorithm, rate)
    changes = {"steps": steps, "seeds": seeds, "seed": seed, "rows": study.rows, **own}
    return TrainConfig.preset(cell.algorithm, study.env, evaluation=EvaluationConfig(**final), **changes)  # pyright: ignore[reportArgumentType]


def queries(result: Any, i: int) -> float | str:
    """Labels that a seed has asked for, where its learner asks."""
    counted, last = asked(result.states), result.rows[-1]
    if counted is not None:
        return float(counted[i])
    return float(last["queries"][i]) if "queries" in last else ""  # of a budget that is spent


def cell_rows(study: Study, cell: Cell, config: TrainConfig, result: Any) -> list[dict[str, Any]]:
    """A row for each seed."""
    summary, last = result.summary, result.rows[-1]
    about = {
        "root_seed": config.seed,
        "learning_rate": config.hp.learning_rate,
        "env_steps": summary["env_steps"],
        "run_seconds": round(summary["run_seconds"], 1),
        "hardware": hardware(summary["device"]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "compile_seconds": round(summary["compile_seconds"], 1),
        "versions": " ".join(f"{name}={summary['versions'][name]}" for name in ("python", "jax", "brax")),
        "commit": (summary["git"] or {}).get("commit"),
        "dirty": (summary["git"] or {}).get("dirty"),
    }
    rows = []
    for i in range(config.seeds):
        played = {
            "eval_return": told(result.eval_return[i]),
            "train_return": told(last["episode_return"][i]),
            "diverged": summary["diverged"].get(str(i), ""),
        }
        own = study.measure(cell, result, i) if study.measure else {}
        rows.append({"cell": cell.name, "seed": i, "queries": queries(result, i), **played, **own, **about})
    return rows


def told(value: float | None) -> float | str:
    """A return; nothing of who has none, whose episodes have not ended or who diverged."""
    return "" if value is None or not np.isfinite(value) else round(float(value), 3)


def curve_rows(cell: Cell, result: Any) -> list[list[Any]]:
    """Both axes of learning: for each seed and row of metrics the steps, the queries, and the return of the episodes that ended."""
    found = []
    for row in result.rows:
        there = row.get("queries", [""] * len(row["episode_return"]))
        for i, value in enumerate(row["episode_return"]):
            found.append(
                [cell.name, i, row["env_steps"], there[i], "" if value is None else round(float(value), 2)]
            )
    return found


def read(path: Path) -> list[dict[str, str]]:
    """Stored rows; none if there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(study: Study, rows: list[Mapping[str, Any]], path: Path) -> None:
    """Rows in the order of the cells, and their table."""
    order = [cell.name for cell in study.cells]
    rows = sorted(rows, key=lambda row: (order.index(row["cell"]), int(row["seed"])))
    write_text(path, csv_text(COLUMNS, [[row.get(name, "") for name in COLUMNS] for row in rows]))
    write_text(path.with_suffix(".md"), markdown(study, read(path), read(_meetings(path))))


def _meetings(path: Path) -> Path:
    return path.with_name(f"{path.stem}_tournament.csv")


def meet(study: Study, runs: Path, path: Path) -> None:
    """The tournament of a study whose cells are all there."""
    from jaxrl_evolve.self_play.tournament import tournament
    from jaxrl_evolve.self_play.tournament_config import TournamentConfig

    folders = tuple(str(runs / cell.folder) for cell in study.cells)
    out = runs / "tournament"
    config = TournamentConfig(
        folders,
        preference=study.preference,
        criteria=study.criteria,
        checkpoints=study.checkpoints,
        episodes=64,
    )
    tournament(config, out, resume=out.exists())
    write_text(_meetings(path), (out / "tournament.csv").read_text())
    if study.checkpoints:
        found = cyclic_triples(read(_meetings(path)))
        told = {**found._asdict(), "share": round(found.share, 4), "passed": found.passed}
        write_text(_triples(path), csv_text(tuple(told), [list(told.values())]))


def _triples(path: Path) -> Path:
    return path.with_name(f"{path.stem}_triples.csv")


def ready(study: Study, tuning: Path) -> None:
    """Refuse a study before the one that it waits for has passed."""
    if not study.after:
        return
    rows = read(_triples(tuning / f"preference_{study.after}.csv"))
    if not rows or rows[0]["passed"] != "True":
        what = "did not pass" if rows else "was not run"
        raise SystemExit(f"the study {study.after}, for which this one waits, {what}: see {tuning}")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--only", nargs="+", default=[], metavar="CELL", help="cells, by name")
    parser.add_argument("--seeds", type=int, help="seeds per cell")
    parser.add_argument("--steps", type=int, help="environment steps per seed, for all cells")
    parser.add_argument(
        "--seed",
        type=int,
        help="root of all randomness: 0, but 100 of the studies by which things are chosen",
    )
    parser.add_argument(
        "--results", type=Path, help="folder of the tables; of those by which things are chosen another"
    )
    parser.add_argument(
        "--tuning", type=Path, default=TUNING, help="folder of the studies by which things are chosen"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "preference_control")
    parser.add_argument("--table", action="store_true", help="make the table of stored rows, and run nothing")
    args = parser.parse_args(words)
    cells = [cell.name for cell in STUDIES[args.study].cells]
    if unknown := [name for name in args.only if name not in cells]:
        parser.error(f"--only has {unknown[0]!r}; it must be among {', '.join(map(repr, cells))}")
    study = STUDIES[args.study]
    seed, results = study.root_seed, args.tuning if study.root_seed else RESULTS
    other = args.seed not in (None, seed)
    args.seed, args.results = seed if args.seed is None else args.seed, args.results or results
    if args.results == results and (other or args.steps or args.seeds):
        parser.error(
            "other seeds, numbers of seeds and steps than the table's need a folder of their own: --results"
        )
    return args


def main(words: list[str] | None = None) -> None:
    """Train what is not there, and write."""
    args = parse(words)
    study, path = STUDIES[args.study], args.results / f"preference_{args.study}.csv"
    args.results.mkdir(parents=True, exist_ok=True)
    if not args.table:
        ready(study, args.tuning)
    runs = args.runs / f"{args.study}_seed_{args.seed}"
    runs.mkdir(parents=True, exist_ok=True)
    jaxrl_evolve.use_all_cores()
    for cell in () if args.table else study.cells:
        if args.only and cell.name not in args.only:
            continue
        if any(row["cell"] == cell.name for row in read(path)):
            continue
        sizes = args.steps or cell.steps, args.seeds or study.seeds
        config = settings_of(study, cell, *sizes, args.seed, args.tuning)
        folder = runs / cell.folder
        result = train(config, folder, resume=folder.exists(), quiet=False)
        rows = cell_rows(study, cell, config, result)
        if study.curves:
            _add_curve(path.with_name(f"{path.stem}_curves.csv"), cell, result)
        write(study, [*read(path), *rows], path)  # others may have come meanwhile
        returns = [row["eval_return"] for row in rows if row["eval_return"] != ""]
        print(
            f"{cell.name}: mean return {np.mean(returns):.4g} of {len(returns)} of {len(rows)} seeds",
            flush=True,
        )
    whole = {row["cell"] for row in read(path)} == {cell.name for cell in study.cells}
    if study.meets and whole and not args.table and not _meetings(path).exists():
        meet(study, runs, path)
    if path.exists():
        write(study, list(read(path)), path)


def _add_curve(path: Path, cell: Cell, result: Any) -> None:
    names = ("cell", "seed", "env_steps", "queries", "episode_return")
    there = [[row[name] for name in names] for row in read(path) if row["cell"] != cell.name]
    write_text(path, csv_text(names, [*there, *curve_rows(cell, result)]))


if __name__ == "__main__":
    main()
