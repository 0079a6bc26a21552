"""What choosing tasks costs: updates under a curriculum beside the same updates on tasks that nobody chooses.

    python benchmarks/curriculum_overhead.py [arms] [levels] [--repeats N]

writes ``benchmarks/results/curriculum_overhead.csv`` and ``.md``; a part that is not named keeps its rows. Run it on an idle machine.

- ``arms``: PPO on CartPole-v1 with five lengths of the pole, 64 environments x 128 steps, so cheap an update that a bandit shows; and on mazes
  of five numbers of walls. The baseline deals the arms out in turn.
- ``levels``: PPO with a GRU on mazes of 9 x 9, as in ``curricula.py``. The baseline is domain randomisation that begins every rollout with new
  levels, as all curricula of levels do. With scouts that play one step, whose levels are proposed, edited, scored and merged as they always are, a curriculum is
  held against the bar; with scouts as they are, what is played only to score levels is told apart.

All programs of a case are timed in turn; ratios are of neighbours in time.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jaxrl_evolve  # isort: skip  # noqa: F401  (chooses XLA's flags before jax starts)
import jax
import jax.numpy as jnp
from learning import RESULTS, hardware
from timing import Timed, in_turn, ratio_of_neighbours

from jaxrl_envs.contract import Arms, Env
from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.curricula.levels.names import LEVEL_CURRICULA
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Openings
from jaxrl_evolve.storage.folder import write_text
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.arms import arms_of_run
from jaxrl_evolve.training.curricula_suite import PROTOCOLS
from jaxrl_evolve.training.experiment import Experiment, build, traced

COLUMNS = ("part", "case", "curriculum", "median_ms", "min_ms", "max_ms", "ratio", "low", "high", "bar", "repeats", "date", "hardware", "commit")  # fmt: skip
UPDATES = 8
"""In a call."""
BARS = {"arms": 1.03, "levels": 1.10}
BASELINE = "(nobody)"
SCOUTS, BRIEFLY = " and scouts", " and scouts of one step"
ARM_METHODS = ("uniform", "sec", "learnability", "thompson", "exp3s", "discounted-ucb", "tscl-window", "learning-progress")  # fmt: skip


class Case(NamedTuple):
    """A task with curricula that are timed beside each other.

    Attributes:
        part: of `BARS`.
        name: of the case.
        config: of one curriculum, by its name.
        methods: their names.
        updates: in a call.
    """

    part: str
    name: str
    config: Any
    methods: Sequence[str]
    updates: int = UPDATES


def poles(curriculum: str) -> TrainConfig[Any, Any]:
    """Cheap updates."""
    options = {"arms": "length=0.25,0.5,1,1.5,2", "threshold": "400"}
    return TrainConfig.preset(
        "ppo", "CartPole-v1", num_envs=64, rollout_length=128, curriculum=curriculum, curriculum_options=options, resets="full"
    )  # fmt: skip


def mazes(curriculum: str) -> TrainConfig[Any, Any]:
    """Those of the benchmark of curricula."""
    return PROTOCOLS["small"].config(curriculum, 1)


CASES = (
    Case("arms", "poles", poles, ARM_METHODS),
    Case("arms", "mazes", mazes, ("sec", "thompson"), 2),
    Case("levels", "mazes", mazes, (*LEVEL_CURRICULA,), 2),
)


def in_turn_dealt(arms: Arms) -> Curriculum:
    """Arms to the slots in turn, always the same ones, and nothing learned of them."""

    def propose(key: Any, state: Any, openings: Openings) -> tuple[Any, Assignment]:
        (n,) = openings.wanted.shape
        number = jnp.arange(n, dtype=jnp.int32) % len(arms.names)
        return state, Assignment(number, jax.vmap(arms.sample)(jax.random.split(key, n), number))

    return Curriculum(lambda key: (), propose, lambda state, outcome: state, lambda state: {})


def nobody(part: str, config: TrainConfig[Any, Any], env: Env) -> Curriculum:
    """Tasks that nobody chooses."""
    if part == "levels":
        drawn = build(mazes("random")).curriculum
        assert drawn is not None
        return drawn._replace(restart=True)
    arms = arms_of_run(config, env)
    assert arms is not None
    return in_turn_dealt(arms)


def program(config: TrainConfig[Any, Any], built: Experiment, curriculum: Curriculum, updates: int) -> Timed:
    """Updates of one run."""
    chunk = make_chunk(built.learner, built.venv, config.rollout_length, curriculum)
    hp, params = traced(config.hp), built.env.params
    state = jax.jit(chunk.init)(random.key(0), hp, params)
    go = jax.jit(
        lambda state: chunk.run(state, hp, (), params, jnp.float32(1e4), jnp.int32(updates))[0],
        donate_argnums=0,
    )
    return Timed(go, state)


def programs(case: Case) -> dict[str, Timed]:
    """All of a case, the baseline first."""
    config = case.config(case.methods[0])
    built = build(config)
    made = {BASELINE: program(config, built, nobody(case.part, config, built.env), case.updates)}
    for name in case.methods:
        config = case.config(name)
        built = build(config)
        assert built.curriculum is not None
        scouts = built.curriculum.scouts
        if scouts is None:
            made[name] = program(config, built, built.curriculum, case.updates)
        else:
            brief = built.curriculum._replace(scouts=scouts._replace(steps=1))
            made[name + BRIEFLY] = program(config, built, brief, case.updates)
            made[name + SCOUTS] = program(config, built, built.curriculum, case.updates)
    return made


def rows_of(case: Case, times: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """A row for each curriculum; ratios are to the baseline's call of the same turn."""
    rows = []
    for name, seconds in times.items():
        each = [1e3 * x / case.updates for x in seconds]
        ratio = ratio_of_neighbours(seconds, times[BASELINE])
        bar = "" if name == BASELINE or name.endswith(SCOUTS) else BARS[case.part]
        numbers = [round(x, 4) for x in (statistics.median(each), min(each), max(each), *ratio)]
        own = [case.part, case.name, name, *numbers, bar]
        rows.append(dict(zip(COLUMNS, own, strict=False)))
    return rows


def _verdict(low: float, high: float, bar: float) -> str:
    return "yes" if high <= bar else "no" if low > bar else "not decided"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page, of stored rows alone."""
    lines = []
    for row in rows:
        more, low, high = (float(row[name]) - 1.0 for name in ("ratio", "low", "high"))
        over = _verdict(low, high, float(row["bar"]) - 1.0) if row["bar"] else ""
        lines.append(
            [
                *(f"{row['part']}, {row['case']}", row["curriculum"], f"{float(row['median_ms']):.3g}"),
                *(
                    f"{float(row['min_ms']):.3g} to {float(row['max_ms']):.3g}",
                    f"{more:+.1%} [{low:+.1%}, {high:+.1%}]",
                    over,
                ),
            ]
        )
    asked = "; ".join(f"{part} {bar - 1:.0%}" for part, bar in BARS.items())
    parts = [
        "# What choosing tasks costs",
        markdown_table(["", "Curriculum", "Median, ms an update", "Range", "More than nobody's", "Below the bar"], lines),
        f"Bars: {asked}. A curriculum's row is of its choices alone, with “scouts of one step” where it has scouts, since all that is done with their levels belongs to it; “and scouts” plays these levels, from which nothing is learned. Updates of one run, all of a "
        f"case in turn, {rows[0]['repeats']} repeats; of ratios of neighbours in time the median with its 95 % bootstrap interval.",
        f"Hardware: `{'; '.join(sorted({str(row['hardware']) for row in rows}))}`. Date: {max(str(row['date']) for row in rows)}. "
        f"Commit: `{'; '.join(sorted({str(row['commit']) for row in rows}))}`.",
        "Command: `python benchmarks/curriculum_overhead.py`.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def main(words: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(BARS)}; all by default")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    given.results.mkdir(parents=True, exist_ok=True)
    if unknown := [part for part in given.parts if part not in BARS]:
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(BARS)}")
    use_compilation_cache()
    path = given.results / "curriculum_overhead.csv"
    there: list[dict[str, Any]] = list(csv.DictReader(path.open())) if path.is_file() else []
    for case in CASES:
        if given.parts and case.part not in given.parts:
            continue
        made = provenance()
        about = {"repeats": given.repeats, "date": datetime.date.today(), "hardware": hardware(made["device"]), "commit": (made["git"] or {}).get("commit")}  # fmt: skip
        new = [{**row, **about} for row in rows_of(case, in_turn(programs(case), given.repeats))]
        there = [row for row in there if (row["part"], row["case"]) != (case.part, case.name)] + new
        for row in new:
            print(*(row[name] for name in COLUMNS[:10]), flush=True)
        write_text(path, csv_text(COLUMNS, [[row[name] for name in COLUMNS] for row in there]))
    write_text(path.with_suffix(".md"), markdown(list(csv.DictReader(path.open()))))


if __name__ == "__main__":
    main()
