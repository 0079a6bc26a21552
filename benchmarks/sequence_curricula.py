"""Does a curriculum of difficulties help where it was published to? SEC, and what it should be better than, on Countdown and rows of colours.

    python benchmarks/sequence_curricula.py tune  [--task TASK ...]
    python benchmarks/sequence_curricula.py train [--task TASK ...] [--only CURRICULUM ...] [--seeds N ...]
    python benchmarks/sequence_curricula.py table

A small decoder imitates solutions of all difficulties alike for a while, once for each seed; GRPO goes on from there, and a curriculum of arms draws the difficulty of each group's prompt. Difficulties are SEC's:
Countdown with 3, 4 and 5 numbers, tested on 6 besides; rows of 10, 20 and 30 cells, tested on 40 besides. So that a small decoder learns anything of it, the numbers of Countdown are 1 to 4, and rows have one rule (of each block the ends stay), of which none is shown. Rows of a length that a decoder never saw it does not answer, also between those that it did: so the imitation has rows of 40 as well, and no curriculum trains on these.

What was written down before any run that counts: all curricula get as many samples, that is as many updates of as many completions; those of a probe or a window count. The step size is the best of four for `uniform`, by the mean success
on the arms of two seeds that are not reported (``tune``); nothing else is tuned, and options are the published ones or the defaults. Primary is the share of right answers, sampled, on prompts of the three arms together that are drawn anew (with numbers to 4 most of those of the easier arms were met before: there are some hundreds of three numbers), less that of
`uniform` of the same seed, over seeds 0 to 4; a curriculum is better or worse if the 95 % interval (Student's) leaves out zero. Secondary is the same on the difficulty that nobody was trained on. Before anything is compared the imitation
alone has to answer between .05 and .80 of the arms' prompts right, in the mean over the two seeds of the choice; else `TASKS` needs another budget. Expected is that no curriculum differs from `filter` by more than its interval.

What is harder was to be primary at first. On seeds that are not reported next to nothing of it was answered right, before learning on the arms and after, however long the imitation was: nothing to compare. Numbers to 100, and rows with
three that are shown, were given up on such seeds as well, since the imitation answered next to nothing right. For Countdown, which ran first, the condition was on the easiest arm alone. On the seeds of the choice that let a shorter imitation of rows pass of which no arm but the first had anything to learn from.

Each cell is a file of the store, ``benchmarks/results/sequence_curricula``; those that are there are left alone. Runs are in ``runs/sequence_curricula`` and go on where they were interrupted. ``table`` makes
``benchmarks/results/sequence_curricula.md`` and ``.csv`` of the store and nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl_evolve import TrainConfig
from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean, mean_of_pairs
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.held_out import evaluate_levels
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.train import train as train_run

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


class Setting(NamedTuple):
    """A task, and what it is given.

    Attributes:
        env: its name.
        options: of the environment.
        held_out: options of the harder prompts.
        lessons: the curriculum's options in imitation; without, all arms alike.
        lesson: steps of a rollout of the imitation, twice its longest episode: it goes on where the last one stopped, so a whole one of every arm is in it.
        length: steps of a rollout, so that it holds an episode of every arm.
        context: tokens that the decoder holds, so that it reads the harder prompts whole.
        envs: completions of an update.
        teaching, learning: environment steps of the imitation, and of what follows.
        rate: step size of the imitation.
    """

    env: str
    options: Mapping[str, str]
    held_out: Mapping[str, str]
    lessons: Mapping[str, str]
    lesson: int
    length: int
    context: int
    envs: int
    teaching: int
    learning: int
    rate: float


TASKS = {
    "countdown": Setting(
        "token/countdown",
        {"highest": "4"},
        {"highest": "4", "numbers": "6"},
        {},
        *(114, 57, 64, 64, 2_000_000, 730_000, 1e-3),
    ),
    "arc-1d": Setting(
        "token/arc-1d",
        {"rule": "5", "shown": "0"},
        {"rule": "5", "shown": "0", "cells": "40"},
        {"arms": "cells=10,20,30,40"},
        *(168, 72, 84, 64, 1_500_000, 700_000, 1e-3),
    ),
}
TEACHER, BEFORE, BASELINE, FILTER = "imitation", "imitation alone", "uniform", "filter"
CURRICULA: dict[str, tuple[str, dict[str, str]]] = {
    "uniform": ("uniform", {}),
    "ordered": ("ordered", {}),
    "filter": ("filter", {}),
    "adcl": ("adcl", {}),
    "adarft": ("adarft", {}),
    "dump": ("dump", {}),
    **{name: (name, {}) for name in ("pools", "exp3s", "thompson", "tscl-window", "learnability")},
    "sec": ("sec", {"step": "0.5", "temperature": "1"}),
    "sec, released": ("sec-code", {"step": "0.5", "temperature": "1"}),
    "sec, colder": ("sec", {"step": "0.5", "temperature": "0.2"}),
}
"""By name in the table: the curriculum and its options. SEC's are those of its Countdown; the colder one is at the temperature of its joint tasks."""
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
TUNED, REPORTED = (100, 101), (0, 1, 2, 3, 4)
TRIED = 128
"""Prompts of an arm, with four tries each; of the harder ones twice as many, with two."""


def cell(store: Path, task: str, name: str, rate: float, seed: int) -> Path:
    """The file of one run."""
    return store / task / name.replace(", ", "-").replace(" ", "-") / f"{rate:g}--{seed}.json"


def configuration(task: str, name: str, rate: float, seed: int, start: str = "", scale: float = 1.0) -> TrainConfig[Any, Any]:  # fmt: skip
    """One run: of the teacher's pupil, of GRPO under a curriculum from there, or one that learns nothing more."""
    at, taught = TASKS[task], name == TEACHER
    curriculum, options = CURRICULA.get(name, CURRICULA[BASELINE])
    steps = at.teaching if taught else 1 if name == BEFORE else at.learning
    return TrainConfig.preset(
        "imitation" if taught else "grpo",
        at.env,
        env_options={**at.options, **({"taught": "True"} if taught else {})},
        steps=max(1, int(steps * scale)),
        num_envs=at.envs,
        rollout_length=at.lesson if taught else at.length,
        seed=seed,
        start=start,
        curriculum=curriculum,
        curriculum_options=at.lessons if taught else options,
        learner={"network.decoder.context": at.context, **({"minibatches": 8} if taught else {})},
        hp={"learning_rate": rate},
        evaluation={"times": 1, "final_episodes": 64},
    )


def trained(runs: Path, task: str, name: str, rate: float, seed: int, start: str, scale: float) -> Path:
    """A finished run."""
    out = cell(runs, task, name, rate, seed).with_suffix("")
    if not (out / "result.json").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        config = configuration(task, name, rate, seed, start, scale)
        train_run(config, out, resume=out.exists(), quiet=True)
    return out


def answered(out: Path, task: str, prompts: int = TRIED) -> dict[str, Any]:
    """Shares of right answers: ``arms``, from the easiest, and ``harder``."""
    at = TASKS[task]
    test = HeldOut(
        levels=0,
        arm_levels=prompts,
        episodes=2,
        shares=(),
        level_seed=1_000,
        envs=(at.env,),
        env_options=at.held_out,
        env_episodes=4 * prompts,
    )
    found, _ = evaluate_levels(out, test, mode="sample")
    arms = [float(arm["runs"][0]) for arm in found["arms"]]
    return {"arms": arms, "harder": float(found["held_out"][0]["all"]["runs"][0])}


def made(store: Path, runs: Path, task: str, name: str, rate: float, seed: int, scale: float = 1.0) -> None:
    """A cell in the store, unless it is there."""
    kept = cell(store, task, name, rate, seed)
    if kept.exists():
        return
    pupil = trained(runs, task, TEACHER, TASKS[task].rate, seed, "", scale)
    out = trained(runs, task, name, rate, seed, str(pupil), scale)
    found = answered(out, task, TRIED if scale == 1 else 8)
    seconds = json.loads((out / "result.json").read_text(encoding="utf-8"))["run_seconds"]
    facts = {"task": task, "name": name, "rate": rate, "seed": seed, **found, "seconds": seconds, **origin()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, f"{json.dumps(facts, indent=1)}\n".encode())
    print(f"{task}, {name} at {rate:g}, seed {seed}: {found}", flush=True)


def read(store: Path, task: str, name: str, rate: float, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The cells of these seeds that are there."""
    paths = [cell(store, task, name, rate, seed) for seed in seeds]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def chosen(store: Path, task: str) -> float | None:
    """The step size that did best for `uniform`; None while some seeds of the choice are missing."""
    found: dict[float, float] = {}
    for rate in RATES:
        cells = read(store, task, BASELINE, rate, TUNED)
        if len(cells) < len(TUNED):
            return None
        found[rate] = float(np.mean([each["arms"] for each in cells]))
    return max(found, key=lambda rate: found[rate])


def tune(store: Path, runs: Path, task: str) -> None:
    """The seeds of the choice; refused where there is no room."""
    for seed in TUNED:
        made(store, runs, task, BEFORE, 0.0, seed)
    _require_room(store, task)
    for seed in TUNED:
        for rate in RATES:
            made(store, runs, task, BASELINE, rate, seed)


def _require_room(store: Path, task: str) -> None:
    if not fits(store, task):
        raise SystemExit(
            f"{task}: the imitation alone answers too many or too few of the arms' prompts; give it another budget in TASKS"
        )


def fits(store: Path, task: str) -> bool:
    """Whether there is room: the imitation alone answers between .05 and .80 of the arms' prompts."""
    arms = [each["arms"] for each in read(store, task, BEFORE, 0.0, TUNED)]
    return bool(arms) and 0.05 <= float(np.mean(arms)) <= 0.80


def train(store: Path, runs: Path, task: str, names: Sequence[str], seeds: Sequence[int]) -> None:
    """The reported runs, seed after seed."""
    rate = chosen(store, task)
    if rate is None:
        raise SystemExit(
            f"{task} has no step size yet: python benchmarks/sequence_curricula.py tune --task {task}"
        )
    _require_room(store, task)
    for seed in seeds:
        made(store, runs, task, BEFORE, 0.0, seed)
        for name in names:
            made(store, runs, task, name, rate, seed)


def _more(cells: Sequence[Any], others: Sequence[Any], of: Callable[[Any], float]) -> str:
    """What is more in cells than in others of the same seed; nothing beside themselves."""
    theirs = {each["seed"]: of(each) for each in others}
    gaps = [of(each) - theirs[each["seed"]] for each in cells if each["seed"] in theirs]
    return "" if cells is others or not gaps else with_bounds(mean_of_pairs(gaps))


def table(store: Path, results: Path) -> None:
    """``sequence_curricula.md`` and ``.csv``."""
    lines, rows, facts = [], [], []
    for task in TASKS:
        rate = chosen(store, task)
        runs = {name: read(store, task, name, rate, REPORTED) for name in CURRICULA} if rate else {}
        runs = {BEFORE: read(store, task, BEFORE, 0.0, REPORTED), **runs}
        for name, cells in runs.items():
            if not cells:
                continue
            facts += cells
            on_arms, harder = (lambda each: float(np.mean(each["arms"]))), (lambda each: each["harder"])
            told = [
                with_bounds(estimate([on_arms(each) for each in cells], mean)),
                *(_more(cells, runs.get(than, []), on_arms) for than in (BASELINE, FILTER)),
                with_bounds(estimate([harder(each) for each in cells], mean)),
                _more(cells, runs.get(BASELINE, []), harder),
            ]
            lines.append([task, name, len(cells), *told])
            for each in cells:
                rows.append([task, name, each["rate"], each["seed"], each["harder"], *each["arms"]])
    more = "More than uniform"
    header = ["Task", "Curriculum", "Seeds", "On the arms", more, "More than filter", "Harder", more]
    unfit = [task for task in TASKS if read(store, task, BEFORE, 0.0, TUNED) and not fits(store, task)]
    said = lambda key: "; ".join(sorted({str(fact[key]) for fact in facts}))
    parts = [
        "# Curricula of difficulties for completions",
        "\n\n".join((__doc__ or "").split("\n\n")[2:5]),
        *(f"**{task} failed the condition on its imitation: nothing follows from it.**" for task in unfit),
        markdown_table(header, lines),
        f"Hardware: {said('device')}, {said('cores')} cores. Commits: {said('commit')}.",
        "Commands: `python benchmarks/sequence_curricula.py tune`, `… train`, `… table`.",
    ]
    results.mkdir(parents=True, exist_ok=True)
    (results / "sequence_curricula.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    columns = ["task", "curriculum", "step_size", "seed", "harder", "arm_1", "arm_2", "arm_3"]
    (results / "sequence_curricula.csv").write_text(csv_text(columns, rows), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Tune, train, or write the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("action", choices=["tune", "train", "table"])
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--only", nargs="+", default=list(CURRICULA), choices=list(CURRICULA), metavar="CURRICULUM")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=list(REPORTED), metavar="N")
    parser.add_argument("--store", type=Path, default=RESULTS / "sequence_curricula")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "sequence_curricula")
    given = parser.parse_args(words)
    use_all_cores()
    use_compilation_cache()
    if given.action == "table":
        table(given.store, given.results)
        return
    for task in given.task:
        if given.action == "tune":
            tune(given.store, given.runs, task)
        else:
            train(given.store, given.runs, task, given.only, given.seeds)


if __name__ == "__main__":
    main()
