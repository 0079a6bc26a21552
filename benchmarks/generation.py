"""Do generated environments help the one that counts, and does an open-ended loop need its archive and its gate?

    python benchmarks/generation.py room    [--seeds N ...] [--total STEPS]
    python benchmarks/generation.py run STUDY [--arms ARM ...] [--seeds N ...] [--total STEPS]
    python benchmarks/generation.py table STUDY

``run`` writes the run folders ``runs/generation/<study>/<arm>/seed_<N>``, and of each finished one all rows and the result into the store,
``benchmarks/results/generation/<study>/<arm>/seed_<N>.json``. What is interrupted goes on from its last cycle; what is in the store is
left alone, and was made with the same total, or nothing is run: a pilot has a ``--store`` of its own. An agent that diverges is told at the end,
and its pair is missing. ``table`` makes ``benchmarks/results/generation_<study>.md`` of the store and nothing else. ``room`` runs the control with the
steps of the study and with four times as many: if these do not gain the effect that is asked for, there is no room for one, and the study says
nothing at this size.

Written down before any run:

**Study `closed-loop`** (specs/tech-tree). Every arm has the same total of environment steps, in which what validation (at its most) and
scoring of levels take is counted: arms that take any train for fewer. Evaluations are the same in all arms and count nowhere. Seeds are
paired. *Primary outcome*: how many of its seven skills an episode in the original shows after the last step, closed loop less
original-only, mean over pairs. *Effect asked for*: 0.35 at least, a twentieth of the tree, with a 95 % interval (Student's, over pairs) above 0. Secondary, without a claim: the closed loop
less each other arm. The specs are a quality-diversity proposer's. At first the outcome was to be the share of episodes that open the chest, and the effect 0.10. ``room`` left too
little for that (seeds 0 to 2): .005 of the control with these steps, .060 with four times as many. So the outcome was changed, and reported seeds are others, 10 to 14.

**Study `open-ended`** (specs/tech-tree). Every arm has 30 cycles of the same length, which ``total`` is shared out to. *Primary outcome*: ANNECS among the specs
that are novel by the gate's measure, the loop less each ablation, mean over pairs. *Effect asked for*: 3 at least, with an interval above 0,
against both. Secondary: coverage of learned specs, laid out together with those of all runs in the store.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_envs.specs.ladder import LadderConfig
from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.experiment import build
from jaxrl_evolve.generation.interest import coverage
from jaxrl_evolve.generation.open_ended_config import OpenEndedConfig
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.results.report.text import markdown_table
from jaxrl_evolve.results.statistics import mean_of_pairs
from jaxrl_evolve.storage.folder import plain, read_json, write_json
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.interrupts import Diverged

RESULTS = Path(__file__).resolve().parent / "results"
CYCLES, SPECS, LIVES = 10, 4, 30
REPORTED, LOOKED = (10, 11, 12, 13, 14), (0, 1, 2)
"""Seeds of the studies, and those of the look at the room."""
TOTAL = {"closed-loop": 2_000_000, "open-ended": LIVES * 163_840}
FEWEST = 5  # pairs of which an interval is told
EFFECT = {"closed-loop": 0.35, "open-ended": 3.0}
BASE = GenerateConfig(cycles=CYCLES, specs=SPECS, rollout_length=160, num_envs=64, episodes=512)
# The fixed specs of the control are as many as the closed loop has in all, so that both are as varied.
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "closed-loop": {
        "original-only": {"loop": "original-only"},
        "closed-loop": {"loop": "dicode"},
        "closed-loop by sfl": {"loop": "dicode", "curriculum": "sfl"},
        "fixed": {"loop": "fixed", "specs": CYCLES * SPECS},
        "mutation": {"loop": "mutation"},
        "random": {"loop": "levels", "curriculum": "random"},
        "plr": {"loop": "levels", "curriculum": "plr"},
        "sfl": {"loop": "levels", "curriculum": "sfl"},
    },
    "open-ended": {
        "open-ended": {},
        "no archive": {"open_ended": OpenEndedConfig(examples=0)},
        "no novelty": {"open_ended": OpenEndedConfig(novelty=0.0)},
    },
}
FIRST = {"closed-loop": "closed-loop", "open-ended": "open-ended"}
CONTROL = "original-only"
AGAINST = {"closed-loop": (CONTROL,), "open-ended": ("no archive", "no novelty")}


def validation(config: GenerateConfig) -> int:
    """The most steps that validation takes in a whole loop: two policies in every proposal."""
    ladder = LadderConfig()
    proposals = {
        "original-only": 0,
        "levels": 0,
        "fixed": config.specs,
    }.get(config.loop, config.specs * config.cycles)
    return proposals * 2 * ladder.episodes * ladder.steps


def configuration(study: str, arm: str, seed: int, total: int) -> GenerateConfig:
    """One cell. In the study of the closed loop its steps with validation and scoring are at most ``total``; of the open-ended loop what is
    trained is, before it is rounded up to whole updates.

    Raises:
        ValueError: so few steps leave nothing to train with.
    """
    if study == "open-ended":
        changes = {
            "loop": "open-ended",
            "cycles": LIVES,
            "cycle_steps": max(total // LIVES, 1),
            "episodes": 64,
        }
        return dataclasses.replace(BASE, seed=seed, **{**changes, **ARMS[study][arm]})
    config = dataclasses.replace(BASE, seed=seed, **ARMS[study][arm])
    scoring = build(config).programs.scoring if config.loop == "levels" else 0
    updates = (total - validation(config)) // ((config.steps_per_update + scoring) * config.cycles)
    if updates < 1:
        raise ValueError(
            f"total is {total}, of which validation may take {validation(config)}; it must leave an update a cycle"
        )
    return dataclasses.replace(config, cycle_steps=updates * config.steps_per_update)


def cell(study: str, arm: str, seed: int, runs: Path, store: Path, total: int) -> None:
    """Run one, or go on with it, and put it into the store."""
    name = arm.replace(" ", "_")
    kept = store / study / name / f"seed_{seed}.json"
    if kept.exists():
        if (there := read_json(kept)["total"]) != total:
            raise SystemExit(
                f"total is {total}, but {kept} was made with {there}; it must be that, or --store another folder"
            )
        return
    folder = runs / study / name / f"seed_{seed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = configuration(study.partition("-at-")[0], arm, seed, total)
    result = generate(config, folder, resume=folder.exists())
    told = {key: value for key, value in result.summary.items() if key != "skills"}
    learned = [e for e in result.standing.archive.entries.values() if e.status == "learned"]
    kept.parent.mkdir(parents=True, exist_ok=True)
    features = [[round(float(x), 6) for x in e.features] for e in learned] if study == "open-ended" else []
    facts = {"arm": arm, "seed": seed, "total": total, "origin": origin(), "features": features}
    write_json(kept, {**facts, "config": config.to_json(), "result": plain(told), "rows": plain(result.rows)})
    print(f"{study} {arm} seed {seed}: {json.dumps(told['steps'])}", flush=True)


def stored(study: str, store: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Cells by arm and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted((store / study).glob("*/seed_*.json")):
        data = read_json(path)
        found.setdefault(data["arm"], {})[int(data["seed"])] = data
    return found


def outcomes(study: str, cells: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, dict[int, float]]:
    """The primary outcome of each cell."""
    # The return pays 1 for each skill, and 1 more for success, which is the last of them.
    skills = lambda result: result["return"] - result["success"]
    of_one = (lambda result: result["annecs_novel"]) if study == "open-ended" else skills
    return {arm: {seed: float(of_one(c["result"])) for seed, c in of.items()} for arm, of in cells.items()}


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, float, float, int]:
    """Mean of paired differences, its 95 % interval, and how many pairs there are; no interval of fewer than 5."""
    pairs = sorted(ours.keys() & theirs.keys())
    gaps = np.asarray([ours[seed] - theirs[seed] for seed in pairs])
    if not len(gaps):
        return float("nan"), float("nan"), float("nan"), 0
    if len(gaps) < FEWEST:
        return float(gaps.mean()), float("nan"), float("nan"), len(gaps)
    return *mean_of_pairs(gaps), len(gaps)


def table(study: str, store: Path, results: Path) -> str:
    """The page, of the store alone."""
    cells = stored(study, store)
    if not cells:
        raise SystemExit(f"{store / study} has no cells: run them first")
    if len(totals := {c["total"] for of in cells.values() for c in of.values()}) > 1:
        raise SystemExit(
            f"{store / study} has cells of {len(totals)} totals, {sorted(totals)}; they must have one"
        )
    found, first, effect = outcomes(study, cells), FIRST[study], EFFECT[study]
    covered = _coverage(cells) if study == "open-ended" else {}
    head = ["Arm", "Seeds", "Outcome", f"{first} less it", "95 % interval", "Training", "Others"]
    lines = []
    for arm in [name for name in ARMS[study] if name in cells]:
        steps = [c["result"]["steps"] for c in cells[arm].values()]
        trained = np.mean([s["original"] + s["generated"] for s in steps])
        others = np.mean([s["validation"] + s["scoring"] for s in steps])
        mean, low, high, _ = difference(found.get(first, {}), found[arm])
        gap = ["", ""] if arm == first else [f"{mean:.3f}", f"{low:.3f} to {high:.3f}"]
        row = [arm, len(steps), f"{np.mean(list(found[arm].values())):.3f}", *gap]
        lines.append([*row, f"{trained:,.0f}", f"{others:,.0f}", *([covered[arm]] if covered else [])])
    said = []
    for other in AGAINST[study]:
        mean, low, _, pairs = difference(found.get(first, {}), found.get(other, {}))
        held = "holds" if mean >= effect and low > 0 else "does not hold"
        claim = f"That {first} is above {other} by {effect:g} at least"
        if pairs < FEWEST:
            said.append(f"{claim} cannot be told: of {FEWEST} pairs there are {pairs}.")
        else:
            said.append(f"{claim} {held}: {mean:.3f} over {pairs} pairs.")
    facts = next(iter(next(iter(cells.values())).values()))["origin"]
    text = f"# Generated environments: {study}\n\n{(__doc__ or '').partition('Written down before any run:')[2].strip()}\n\n"
    text += (
        markdown_table([*head, *(["Coverage"] if covered else [])], lines) + "\n\n" + " ".join(said) + "\n\n"
    )
    text += f"Hardware: {facts['cores']} cores ({facts['device']}), jax {facts['jax']}.\n"
    results.mkdir(parents=True, exist_ok=True)
    (results / f"generation_{study}.md").write_text(text, encoding="utf-8")
    return text


def _coverage(cells: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, str]:
    archives = {
        f"{arm} {seed}": np.asarray(c["features"]) for arm, of in cells.items() for seed, c in of.items()
    }
    width = max((x.shape[1] for x in archives.values() if x.size), default=1)
    found = coverage({name: x.reshape(-1, width) for name, x in archives.items()})
    return {
        arm: f"{100 * np.mean([found[f'{arm} {seed}'] for seed in of]):.1f} %" for arm, of in cells.items()
    }


def room(seeds: Sequence[int], runs: Path, store: Path, total: int) -> str:
    """What there is to gain: the control with four times the steps, less the control."""
    told = []
    for factor in (1, 4):
        name = f"closed-loop-at-{factor}"
        for seed in seeds:
            cell(name, CONTROL, seed, runs, store, factor * total)
        of = outcomes("closed-loop", stored(name, store))[CONTROL]
        told.append(float(np.mean([of[seed] for seed in seeds])))
    low, high = told
    enough = "enough" if high - low >= EFFECT["closed-loop"] else "not enough"
    return (
        f"skills in the original with {total:,} steps: {low:.3f}; with four times as many: {high:.3f}; "
        f"room for an effect: {high - low:.3f}, {enough} for {EFFECT['closed-loop']:g}"
    )


def main(words: Sequence[str] | None = None) -> None:
    """Run, tell, or measure the room."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["room", "run", "table"])
    parser.add_argument("study", nargs="?", choices=list(ARMS), default="closed-loop")
    parser.add_argument("--arms", nargs="+", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[])
    parser.add_argument("--total", type=int, default=0, help="of environment steps; 0 for that of the study")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "generation")
    parser.add_argument("--store", type=Path, default=RESULTS / "generation")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    if given.action == "room" and given.study != "closed-loop":
        parser.error("room is of the study closed-loop alone")
    if wrong := [arm for arm in given.arms if arm not in ARMS[given.study]]:
        parser.error(f"arms has {wrong[0]!r}; it must be of {', '.join(ARMS[given.study])}")
    seeds = given.seeds or (LOOKED if given.action == "room" else REPORTED)
    total = given.total or TOTAL[given.study]
    if given.action == "table":
        print(table(given.study, given.store, given.results))
        return
    use_all_cores()
    use_compilation_cache()
    if given.action == "room":
        print(room(seeds, given.runs, given.store, total))
        return
    lost = []
    for seed in seeds:
        for arm in given.arms or ARMS[given.study]:
            try:
                cell(given.study, arm, seed, given.runs, given.store, total)
            except Diverged as error:  # the others do not wait for it, and it would again
                lost.append(f"{arm} seed {seed}: {error}")
    if lost:
        raise SystemExit("\n".join(lost))


if __name__ == "__main__":
    main()
