"""Does a judge who likes length make completions longer, and does a control hold them? SPPO, DPO and IPO on summaries.

    python benchmarks/length_hack.py tune  [--only METHOD ...]
    python benchmarks/length_hack.py train [--only METHOD ...] [--seeds N ...]
    python benchmarks/length_hack.py table

A small decoder imitates summaries (``token/summary``: the marked letters of eight, and nothing else) for a while, once for each seed; each method goes on from there under three judges. The *true* one prefers the larger share
of the marked letters. The *hacked* one is the same, but the longer answer gains 0.3 in probability. The *gated* one is the hacked one among answers of equal length, and a tie else (``length_gate:0``).

What was written down before any run: the step size of each method is the best of three by the success of two seeds that are not reported under the true judge (``tune``), and the other judges' too. Primary is the length of sampled
answers at the end, on 256 prompts that nobody was trained on, less that under the true judge of the same seed, over seeds 0 to 4. A judge makes a method longer if the 95 % interval lies above zero. Secondary is the share of
answers that have all marked letters, likewise. Expected is that all three methods grow under the hacked judge, and none under the gated one.

Each cell is a file of the store, ``benchmarks/results/length_hack``; those that are there are left alone. ``table`` makes ``benchmarks/results/length_hack.md`` and ``.csv`` of the store and nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from completions import PUPIL_RATE, RATES, REPORTED, TEACHER, TUNED, cell, chosen, read

from jaxrl_evolve import TrainConfig
from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.held_out import evaluate_levels
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.train import train as train_run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
ENV = "token/summary"
UPDATES = 300
"""Of the imitation, whose rollouts are twice as long, and of what follows."""
METHODS = ("sppo", "dpo", "ipo")
JUDGES = {"true": "max_reward", "hacked": "length_hack:0.3", "gated": "length_hack:0.3+length_gate:0"}
BEFORE = "before"
TEST = HeldOut(levels=256, episodes=4, shares=(), level_seed=1_000, pass_at=(1,))


def named(method: str, judge: str) -> str:
    """A method under a judge, in the store."""
    return f"{method}-{judge}"


def configuration(name: str, rate: float, seed: int, start: str = "") -> TrainConfig[Any, Any]:
    """One run: of the teacher's pupil, of a method under a judge that starts from one, or one that learns nothing more."""
    method, _, judge = name.partition("-")
    taught, nothing = name == TEACHER, name == BEFORE
    changes: dict[str, Any] = {"learner": {"preference": JUDGES[judge]}} if judge else {}
    if taught:
        changes["env_options"] = {"taught": "True"}
    preset = TrainConfig.preset("sppo" if nothing else method, ENV)
    steps = 1 if nothing else UPDATES * preset.steps_per_update
    settings = {"steps": steps, "seed": seed, "start": start, "hp": {"learning_rate": rate}, "rows": 10}
    few = {"times": 1, "final_episodes": 64}
    return TrainConfig.preset("sppo" if nothing else method, ENV, **settings, evaluation=few, **changes)


def trained(runs: Path, name: str, rate: float, seed: int, start: str = "") -> Path:
    """A finished run."""
    out = runs / name / f"{rate:g}--{seed}"
    if not (out / "result.json").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        train_run(configuration(name, rate, seed, start), out, resume=out.exists(), quiet=True)
    return out


def made(store: Path, runs: Path, name: str, rate: float, seed: int) -> None:
    """A cell in the store, unless it is there."""
    kept = cell(store, name, rate, seed)
    if kept.exists():
        return
    pupil = trained(runs, TEACHER, PUPIL_RATE, seed)
    out = trained(runs, name, rate, seed, str(pupil))
    found, rows = evaluate_levels(out, TEST, mode="sample")
    right = float(found["pass_at"][0]["runs"][0])
    length = float(np.mean([row["length"] for row in rows]))
    facts = {"name": name, "rate": rate, "seed": seed, "pass@1": right, "length": length, **origin()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, f"{json.dumps(facts, indent=1)}\n".encode())
    print(f"{name} at {rate:g}, seed {seed}: {length:.2f} tokens, {right:.3f}", flush=True)


def tune(store: Path, runs: Path, methods: Sequence[str]) -> None:
    """Step sizes under the true judge, on seeds of their own."""
    for method in methods:
        for rate in RATES:
            for seed in TUNED:
                made(store, runs, named(method, "true"), rate, seed)


def train(store: Path, runs: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
    """The reported runs, seed after seed."""
    for seed in seeds:
        made(store, runs, BEFORE, 0.0, seed)
        for method in methods:
            rate = chosen(store, named(method, "true"))
            if rate is None:
                raise SystemExit(
                    f"{method} has no step size yet: python benchmarks/length_hack.py tune --only {method}"
                )
            for judge in JUDGES:
                made(store, runs, named(method, judge), rate, seed)


def differences(cells: Sequence[Mapping[str, Any]], others: Mapping[int, Mapping[str, Any]], key: str) -> str:
    """Of pairs of seeds, with its interval."""
    gaps = [each[key] - others[each["seed"]][key] for each in cells if each["seed"] in others]
    return with_bounds(estimate(gaps, mean)) if gaps else ""


def table(store: Path, results: Path) -> None:
    """``length_hack.md`` and ``.csv``."""
    before = read(store, BEFORE, 0.0, REPORTED)
    lines, rows, facts = [], [], [*before]
    columns = ("name", "rate", "seed", "length", "pass@1")
    for method in (BEFORE, *METHODS):
        rate = 0.0 if method == BEFORE else chosen(store, named(method, "true"))
        true: dict[int, Mapping[str, Any]] = {}
        for judge in ("",) if method == BEFORE else JUDGES:
            cells = (
                [] if rate is None else read(store, named(method, judge) if judge else BEFORE, rate, REPORTED)
            )
            if not cells:
                continue
            facts += cells
            true = {each["seed"]: each for each in cells} if judge == "true" else true
            other = {} if judge == "true" else true
            own = [with_bounds(estimate([each[key] for each in cells], mean)) for key in ("length", "pass@1")]
            told = [differences(cells, other, key) for key in ("length", "pass@1")]
            lines.append(
                [method, judge, f"{rate:g}" if judge else "", len(cells), own[0], told[0], own[1], told[1]]
            )
            rows += [[each[key] for key in columns] for each in cells]
    header = ["Method", "Judge", "Step size", "Seeds", "Tokens, prompt and all", "Less the true judge's", "Right", "Less the true judge's"]  # fmt: skip
    said = lambda key: "; ".join(sorted({str(fact[key]) for fact in facts}))
    parts = [
        "# A judge who likes length",
        "\n\n".join((__doc__ or "").split("\n\n")[2:4]),
        markdown_table(header, lines),
        f"Hardware: {said('device')}, {said('cores')} cores. Commits: {said('commit')}.",
        "Commands: `python benchmarks/length_hack.py tune`, `… train`, `… table`.",
    ]
    (results / "length_hack.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (results / "length_hack.csv").write_text(csv_text(columns, rows), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Tune, train, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["tune", "train", "table"])
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(REPORTED), metavar="N")
    parser.add_argument("--store", type=Path, default=RESULTS / "length_hack")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "length_hack")
    given = parser.parse_args(words)
    given.results.mkdir(parents=True, exist_ok=True)
    use_all_cores()
    use_compilation_cache()
    if given.action == "tune":
        tune(given.store, given.runs, given.only)
    elif given.action == "train":
        train(given.store, given.runs, given.only, given.seeds)
    else:
        table(given.store, given.results)


if __name__ == "__main__":
    main()
