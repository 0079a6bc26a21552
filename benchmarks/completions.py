"""Which method learns most from a verifier? Completions of Countdown, from the same imitation of a teacher.

    python benchmarks/completions.py tune  [--only METHOD ...]
    python benchmarks/completions.py train [--only METHOD ...] [--seeds N ...]
    python benchmarks/completions.py table

A small decoder imitates solutions of Countdown with three numbers for a while, once for each seed; each method then goes on from there for as many
environment steps, in groups of eight completions of a prompt. What was written down before any run: the step size of each method is the best of
three by the success of two seeds that are not reported (``tune``); the primary outcome is the share of sampled completions that are right, on 256
prompts that nobody was trained on and 16 tries each (pass@1), less that of the imitation it started from, over seeds 0 to 4. A method is better or worse
than another if the 95 % interval of the difference of the two, seed against seed, leaves out zero. Which interval was not written down; it is
Student's, chosen when four of the five seeds had been seen, and wider than the resampled one. Besides, how often one of 16 tries is right (pass@16), and
how long completions are. SPPO, DPO and IPO are there also in three iterations (``sppo-3``), each with the policy of its beginning as the reference.

Whether **a judge who likes length** makes completions longer is asked of the same three, with the step sizes that they have already. The *hacked* judge (``sppo-hacked``) prefers right to wrong as the verifier does, but the longer answer gains 0.3 in
probability; the *gated* one is the hacked one among answers of equal length, and a tie else. Primary is the length of sampled completions, less that without the judge, seed against seed: longer is longer if the interval lies
above zero. Expected is that all three grow under the hacked judge, and none under the gated one.

The imitation is as long as it is so that there is room: after a quarter of it few completions were right, few groups differed, and no step size changed that much. Seeds 100,
101 and 200 showed it, none of which is reported; the step sizes are chosen anew since.

**What was run twice.** After the first table had been seen (commit 567f124), log-ratios that are mere rounding were set aside in the losses of SPPO, DPO, IPO and SRPO. These, their iterated variants and those under a judge were
tuned and run once more, on the same seeds, reported ones too; GRPO, RLOO, Dr.GRPO and NFT were not. The first table had SRPO at .355 and IPO at .420, each with a step size of 1e-4.

Each cell is a file of the store, ``benchmarks/results/completions``; those that are there are left alone. Runs are in ``runs/completions`` and go on where
they were interrupted. ``table`` makes ``benchmarks/results/completions.md`` and ``.csv`` of the store and nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve import TrainConfig
from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.results.report.text import csv_text, markdown_table, number, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean, mean_of_pairs
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.held_out import evaluate_levels
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.train import train as train_run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
ENV = "token/countdown"
TEACHING, LEARNING = 8 * 274 * 64 * 57, 274 * 64 * 57
"""Environment steps of the imitation, and of what follows: 274 updates of the latter."""
TEACHER, BEFORE = "imitation", "imitation alone"
"""What comes first, and that without anything after it."""
TWICE = ("sppo", "dpo", "ipo")
THIRDS = {"reference": "stages", "reference_every": 3}
ITERATED = {f"{name}-3": (name, THIRDS) for name in TWICE}
"""In three iterations, as they were published: the reference is the policy at the beginning of each third."""
JUDGES = {"hacked": "length_hack:0.3", "gated": "length_hack:0.3+length_gate:0"}
JUDGED = {f"{name}-{judge}": (name, {"preference": text}) for name in TWICE for judge, text in JUDGES.items()}
"""Under a judge who likes length, and under one who does among answers of equal length alone."""
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {**ITERATED, **JUDGED}
METHODS = ("grpo", "rloo", "dr-grpo", "nft", "srpo", *TWICE)
NAMES = (*METHODS, *VARIANTS)
PUPIL_RATE, RATES = 1e-3, (3e-5, 1e-4, 3e-4)
TUNED, REPORTED = (100, 101), (0, 1, 2, 3, 4)
"""Seeds of the choice of a step size, and those of the table."""
TEST = HeldOut(levels=256, episodes=8, shares=(), level_seed=1_000, pass_at=(1, 16))


def cell(store: Path, name: str, rate: float, seed: int) -> Path:
    return store / name / f"{rate:g}--{seed}.json"


def configuration(name: str, rate: float, seed: int, start: str = "") -> TrainConfig[Any, Any]:
    """One run: of the teacher's pupil, of a method that starts from one, or one that learns nothing more."""
    taught, nothing = name == TEACHER, name == BEFORE
    method, learner = VARIANTS.get(name, (name, {}))
    return TrainConfig.preset(
        *("grpo" if nothing else method, ENV),
        steps=1 if nothing else TEACHING if taught else LEARNING,
        env_options={"taught": "True"} if taught else {},
        seed=seed,
        start=start,
        learner=learner,
        hp={"learning_rate": rate},
        evaluation={"times": 1, "final_episodes": 64},
    )


def trained(runs: Path, name: str, rate: float, seed: int, start: str = "") -> Path:
    """A finished run."""
    out = runs / name.replace(" ", "-") / f"{rate:g}--{seed}"
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
    tries = {f"pass@{entry['k']}": float(entry["runs"][0]) for entry in found["pass_at"]}
    length = float(np.mean([row["length"] for row in rows]))
    seconds = json.loads((out / "result.json").read_text(encoding="utf-8"))["run_seconds"]
    facts = {"name": name, "rate": rate, "seed": seed, **tries, "episode_length": length, "seconds": seconds}
    facts |= origin()
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, f"{json.dumps(facts, indent=1)}\n".encode())
    print(f"{name} at {rate:g}, seed {seed}: {tries['pass@1']:.3f}", flush=True)


def read(store: Path, name: str, rate: float, seeds: Sequence[int]) -> list[Mapping[str, Any]]:
    """The cells of these seeds that are there."""
    paths = [cell(store, name, rate, seed) for seed in seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def tried(store: Path, name: str) -> dict[float, float]:
    """Success of the seeds of the choice by step size, of a judged method that without the judge; empty while some are missing."""
    name = JUDGED[name][0] if name in JUDGED else name
    found: dict[float, float] = {}
    for rate in RATES:
        cells = read(store, name, rate, TUNED)
        if len(cells) < len(TUNED):
            return {}
        found[rate] = float(np.mean([each["pass@1"] for each in cells]))
    return found


def chosen(store: Path, name: str) -> float | None:
    """The step size that did best for the seeds of the choice; None while some are missing."""
    found = tried(store, name)
    return max(found, key=lambda rate: found[rate]) if found else None


def how_chosen(store: Path, names: Sequence[str]) -> str:
    """By how much each step size led, and who has the smallest or largest that was tried."""
    edges, leads = [], []
    for name in names:
        found = {} if name == BEFORE or name in JUDGED else tried(store, name)
        if found:
            best, second = sorted(found.values())[:-3:-1]
            leads.append((best - second, name))
            edges += [name] if chosen(store, name) in (min(RATES), max(RATES)) else []
    if not leads:
        return ""
    told = ", ".join(f"{name} {lead:.4f}" for lead, name in sorted(leads))
    return (
        f"What the chosen step size was ahead of the next one, in pass@1 of {len(TUNED)} seeds: {told}. A choice by a small lead may fall otherwise on other seeds. "
        + (f"At the edge of the grid, so that others may do better: {', '.join(edges)}." if edges else "")
    ).rstrip()


def train(store: Path, runs: Path, names: Sequence[str], seeds: Sequence[int]) -> None:
    """The reported runs at the step sizes that were chosen, seed after seed."""
    for seed in seeds:
        made(store, runs, BEFORE, 0.0, seed)
        for name in names:
            rate = chosen(store, name)
            if rate is None:
                raise SystemExit(
                    f"{name} has no step size yet: python benchmarks/completions.py tune --only {name}"
                )
            made(store, runs, name, rate, seed)


def gaps_of(cells: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Differences of pairs of seeds."""
    other = {each["seed"]: each[key] for each in others}
    return [each[key] - other[each["seed"]] for each in cells if each["seed"] in other]


def differences(cells: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], key: str) -> str:
    """Of pairs of seeds, with its interval; nothing without a pair."""
    gaps = gaps_of(cells, others, key)
    return with_bounds(mean_of_pairs(gaps)) if gaps else ""


def each_against_each(store: Path, names: Sequence[str]) -> str:
    """A table of the primary outcome of each row less that of each column, over the seeds that both have."""
    cells = {name: read(store, name, chosen(store, name) or 0.0, REPORTED) for name in names}
    rows = []
    for name in names:
        row = [name]
        for other in names:
            gaps = gaps_of(cells[name], cells[other], "pass@1")
            if name == other or not gaps:
                row.append("")
                continue
            found = mean_of_pairs(gaps)
            apart = found.low > 0 or found.high < 0  # neither, where too few have no interval
            row.append(f"**{found.value:+.3f}**" if apart else f"{found.value:+.3f}")
        rows.append(row)
    return markdown_table(["Row less column", *names], rows)


def table(store: Path, results: Path) -> None:
    """``completions.md`` and ``.csv``."""
    before = {each["seed"]: each for each in read(store, BEFORE, 0.0, REPORTED)}
    lines, rows, facts = [], [], list[Mapping[str, Any]](before.values())
    for name in (BEFORE, *NAMES):
        rate = 0.0 if name == BEFORE else chosen(store, name)
        cells = [] if rate is None else read(store, name, rate, REPORTED)
        if not cells:
            continue
        facts += cells
        told = [with_bounds(estimate([each[key] for each in cells], mean)) for key in ("pass@1", "pass@16")]
        length = number(float(np.mean([each["episode_length"] for each in cells])))
        longer = differences(cells, read(store, JUDGED[name][0], rate, REPORTED), "episode_length") if name in JUDGED else ""  # fmt: skip
        more = "" if name == BEFORE else differences(cells, [*before.values()], "pass@1")
        lines.append(
            [name, "" if name == BEFORE else f"{rate:g}", len(cells), told[0], more, told[1], length, longer]
        )
        columns = ("name", "rate", "seed", "pass@1", "pass@16", "episode_length")
        rows += [[each[key] for key in columns] for each in cells]
    header = [
        "Method",
        "Step size",
        "Seeds",
        "Right (pass@1)",
        "More than before",
        "One of 16 right",
        "Tokens, prompt and all",
        "Tokens more than without the judge",
    ]
    said = lambda key: "; ".join(sorted({str(fact[key]) for fact in facts}))
    compared = [str(line[0]) for line in lines if line[0] not in (BEFORE, *JUDGED)]
    parts = [
        "# Completions of Countdown",
        "\n\n".join((__doc__ or "").split("\n\n")[i] for i in (2, 3, 5)),
        how_chosen(store, [str(line[0]) for line in lines]),
        markdown_table(header, lines),
        "Each method less each other by pass@1, seed against seed; bold where the 95 % interval over at least three seeds leaves out zero. "
        f"These are {len(compared) * (len(compared) - 1) // 2} pairs, and the intervals are not corrected for their number.",
        each_against_each(store, compared),
        f"Hardware: {said('device')}, {said('cores')} cores. Commits: {said('commit')}."
        + (" A + after a commit: files had changed since." if "+" in said("commit") else ""),
        "Commands: `python benchmarks/completions.py tune`, `… train`, `… table`.",
    ]
    (results / "completions.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    columns = ["method", "step_size", "seed", "pass_at_1", "pass_at_16", "episode_length"]
    (results / "completions.csv").write_text(csv_text(columns, rows), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Tune, train, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["tune", "train", "table"])
    parser.add_argument("--only", nargs="+", default=list(NAMES), choices=list(NAMES), metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(REPORTED), metavar="N")
    parser.add_argument("--store", type=Path, default=RESULTS / "completions")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "completions")
    given = parser.parse_args(words)
    given.results.mkdir(parents=True, exist_ok=True)
    use_all_cores()
    use_compilation_cache()
    if given.action == "tune":
        for name in given.only:
            for rate in () if name in JUDGED else RATES:
                for seed in TUNED:
                    made(given.store, given.runs, name, rate, seed)
    elif given.action == "train":
        train(given.store, given.runs, given.only, given.seeds)
    else:
        table(given.store, given.results)


if __name__ == "__main__":
    main()
