"""Self-prediction, and from which state returns bootstrap, on three games of MinAtar after 30,000 steps.

    python benchmarks/spr_minatar.py --commands     # what fills the store: commands to be run, each of them resumable
    python benchmarks/spr_minatar.py [--store DIR]  # the table of what the store holds

The second one takes the finished cells of a store of `jaxrl-evolve benchmark` into ``benchmarks/results/spr_minatar.csv``, a row for each seed, and writes
``spr_minatar.md`` from that table alone; rows of cells that the store does not hold stay.

Written before the first run of the reported seeds:

- **Agents**: `rainbow`, `spr`, `spr-noaug` and `bbf` as their presets for boards are (one convolution of 16 channels, K = 5, batch 32), but with a gradient step for
  every `EVERY` environment steps instead of two for each, and the step size `RATE` instead of 1e-4: this many gradient steps of 1e-4 move little. BBF's resets and
  annealing keep their share of the gradient steps (`RESET`, `ANNEAL`). One look was taken before: `rainbow` so set on Breakout with root seed 100 reached 3.5 and 5.5 in two seeds;
  nothing was tuned.
- **Learning** (primary outcome 1): for each game and agent, the interquartile mean of the final evaluations of 5 seeds (100 whole episodes each, epsilon 0.001) with its 95 % bootstrap
  interval. An agent learns a game if the interval's lower end is at least five times the return of a random policy, does plainly not if its upper end is below, and else it is open.
- **Self-prediction** (primary outcome 2): `spr` less `rainbow`, in scores normalised between a random policy and tuned PPO, mean over the three games, of 5 root-wise pairs of seeds, with
  Student's 95 % interval. An effect is claimed only if it is without zero. Likewise, secondary, `spr` less `spr-noaug`.
- **Bootstrap offset** (primary outcome 3): returns that bootstrap from s(t+n) less those from s(t+n-1), as in published JAX code, for `spr` and for `bbf`, by the same measure.
  No study of it is known to us. The expectation, also written before: too small a difference to be seen with 5 pairs.

Cells that are missing when the time is over stay missing and are named; none is left out for what it shows.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from learning import RESULTS, ROOT, hardware

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.scores import SCALES
from jaxrl_evolve.storage.folder import read_json
from jaxrl_evolve.training.benchmark import folder_name

GAMES, STEPS, SEEDS = ("Breakout", "SpaceInvaders", "Freeway"), 30_000, 5
EVERY, RATE, RESET, ANNEAL = 8, 3e-4, 700, 175
_OURS = f"rollout_length={EVERY} learner.gradient_steps=1 hp.learning_rate={RATE:g}"
_BBF = f"bbf {_OURS} learner.reset_every={RESET} hp.anneal={ANNEAL}"
_LEGACY = "learner.legacy_bootstrap_offset=True"
ARMS = {
    "rainbow": f"rainbow {_OURS}",
    "spr": f"spr {_OURS}",
    "spr-noaug": f"spr-noaug {_OURS}",
    "spr, s(t+n-1)": f"spr {_OURS} {_LEGACY}",
    "bbf": _BBF,
    "bbf, s(t+n-1)": f"{_BBF} {_LEGACY}",
}
"""What `benchmark --preset` is given, by the agent's name in the table."""
PAIRS = (("spr", "rainbow"), ("spr", "spr-noaug"), ("spr", "spr, s(t+n-1)"), ("bbf", "bbf, s(t+n-1)"))
COLUMNS = (
    *("agent", "game", "root_seed", "seed", "eval_return", "env_steps", "diverged", "preset"),
    *("seconds", "hardware", "versions", "commit"),
)


class Difference(NamedTuple):
    """Of two agents' normalised scores: mean of pairs, and Student's 95 % interval."""

    mean: float
    low: float
    high: float
    pairs: int


def commands(store: str) -> list[str]:
    """What trains the cells, an agent at a time, the ones of the first outcome first."""
    common = f"--games {' '.join(GAMES)} --steps {STEPS} --seeds {SEEDS} --out {store} --quiet"
    return [
        f"jaxrl-evolve benchmark minatar-100k --preset {shlex.quote(label)} {common}"
        for label in ARMS.values()
    ]


def rows_of(store: Path) -> list[dict[str, Any]]:
    """A row for each seed of every finished cell of ours."""
    found = []
    for agent, label in ARMS.items():
        for game in GAMES:
            for path in sorted((store / folder_name(label) / game).glob("seed-*/result.json")):
                result, config = read_json(path), read_json(path.with_name("config.json"))
                if config["steps"] != STEPS:
                    raise SystemExit(f"{path.parent} has {config['steps']} steps; the table is of {STEPS}")
                versions = result["versions"]
                about = {
                    "seconds": round(result["run_seconds"]),
                    "hardware": hardware(result["device"]),
                    "versions": " ".join(f"{name}={versions[name]}" for name in ("python", "jax", "gymnax")),
                    "commit": (result["git"] or {}).get("commit"),
                }
                for seed, value in enumerate(result["eval_return"]):
                    row = (agent, game, result["seed"], seed, value, result["env_steps"])
                    whole = (*row, result["diverged"].get(str(seed), ""), label, *about.values())
                    found.append(dict(zip(COLUMNS, whole, strict=True)))
    return found


def merged(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The table with the rows of some cells made anew, in the order of agents and games."""
    cell = lambda row: (row["agent"], row["game"], str(row["root_seed"]))
    anew = {cell(row) for row in new}
    kept = [row for row in old if cell(row) not in anew]
    order = lambda row: (
        list(ARMS).index(row["agent"]),
        GAMES.index(row["game"]),
        int(row["root_seed"]),
        int(row["seed"]),
    )
    return sorted((dict(row) for row in (*kept, *new)), key=order)


def returns(rows: Sequence[Mapping[str, Any]], agent: str, game: str) -> np.ndarray:
    """Of an agent's seeds on a game; a seed that diverged has the worst of the others."""
    own = [row["eval_return"] for row in rows if (row["agent"], row["game"]) == (agent, game)]
    values = np.array([float("nan") if x in ("", None) else float(x) for x in own])
    return np.where(np.isfinite(values), values, np.nanmin(values)) if np.isfinite(values).any() else values


def difference(rows: Sequence[Mapping[str, Any]], agent: str, other: str) -> Difference | None:
    """One agent's normalised scores less another's, mean over the games that both have, in pairs of seeds."""
    both = []
    for game in GAMES:
        ours, theirs = returns(rows, agent, game), returns(rows, other, game)
        if len(ours) and len(ours) == len(theirs):
            scale = SCALES[f"{game}-MinAtar"]
            both.append(scale(ours) - scale(theirs))
    if not both or len(both[0]) < 2:
        return None
    pairs = np.mean(both, 0)
    return Difference(*statistics.mean_of_pairs(pairs), len(pairs))


def learns(found: statistics.Estimate, random: float) -> str:
    """What is said of a return beside five times a random policy's."""
    if found.low >= 5 * random:
        return "yes"
    return "plainly not" if found.high < 5 * random else "open"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page for readers."""
    missing, lines = [], []
    for game in GAMES:
        random = SCALES[f"{game}-MinAtar"].random
        for agent in ARMS:
            own = returns(rows, agent, game)
            if not len(own):
                missing.append(f"{agent} on {game}")
                continue
            found = statistics.estimate(own)
            seeds = " ".join(f"{x:.2f}" for x in own)
            lines.append(
                f"| {game} | {agent} | {found.value:.2f} | [{found.low:.2f}, {found.high:.2f}] | {seeds} "
                f"| {found.value / random:.1f} | {learns(found, random)} |"
            )
    text = [
        "# Self-prediction and the bootstrap offset on MinAtar",
        "",
        f"Final evaluation after {STEPS:,} environment steps: {SEEDS} seeds, 100 whole episodes each, epsilon 0.001; interquartile mean with its 95 % bootstrap interval, which {SEEDS} seeds make "
        f"rough. One convolution of 16 channels, K = 5, batch 32, a gradient step for every {EVERY} environment steps, step size {RATE:g}, else the presets as they are. Plan and primary outcomes were "
        "written into `benchmarks/spr_minatar.py` before the first of these runs.",
        "",
        "| game | agent | return | 95 % interval | seeds | times random | learns |",
        "|---|---|--:|---|---|--:|---|",
        *lines,
        "",
        "`learns`: the interval's lower end is at least five times a random policy's return (yes), its upper end is below (plainly not), or neither (open).",
        "",
        "Differences of scores normalised between a random policy (0) and PPO tuned for 1e7 steps (1), mean over the games, of pairs of seeds, with Student's 95 % interval:",
        "",
        "| agent | less | difference | 95 % interval | pairs | effect |",
        "|---|---|--:|---|--:|---|",
    ]
    told = []
    for agent, other in PAIRS:
        found = difference(rows, agent, other)
        if found is None:
            missing.append(f"{agent} less {other}")
            continue
        shown = "shown" if found.low > 0 or found.high < 0 else "none shown"
        if shown == "shown":
            way, low, high = (
                ("above", found.low, found.high) if found.mean > 0 else ("below", -found.high, -found.low)
            )
            told.append(f"{agent} is {way} {other} by {abs(found.mean):.4f} [{low:.4f}, {high:.4f}]")
        text.append(
            f"| {agent} | {other} | {found.mean:+.4f} | [{found.low:+.4f}, {found.high:+.4f}] | {found.pairs} | {shown} |"
        )
    text += ["", f"Differences shown: {'; '.join(told) or 'none'}."]
    text += ["", f"Missing: {', '.join(missing)}." if missing else "No cell is missing."]
    for title, column in (("Hardware", "hardware"), ("Versions", "versions"), ("Commits", "commit")):
        values = dict.fromkeys(str(row[column]) for row in rows)
        text += ["", f"{title}: " + "; ".join(f"`{value}`" for value in values) + "."]
    text += [
        "",
        "Commands, then `python benchmarks/spr_minatar.py`; every seed is in `spr_minatar.csv`:",
        "",
        *(f"    {line}" for line in commands("runs/minatar-30k")),
        "",
    ]
    return "\n".join(text)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store", type=Path, default=ROOT / "runs" / "minatar-30k", help="folder of the cells"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    parser.add_argument("--commands", action="store_true", help="print what fills the store, and do nothing")
    args = parser.parse_args(words)
    args.results.mkdir(parents=True, exist_ok=True)
    if args.commands:
        print(*commands("runs/minatar-30k"), sep="\n")
        return
    path, old = args.results / "spr_minatar.csv", list[dict[str, Any]]()
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            old = list(csv.DictReader(file))
    rows = merged(old, rows_of(args.store))
    if not rows:
        raise SystemExit(f"{args.store} has no finished cell of ours; see --commands")
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    path.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
