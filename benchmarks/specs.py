"""What it costs to interpret specs: different ones beside equal ones and beside one that is compiled in, XLand-MiniGrid, validation, proposals.

    python benchmarks/specs.py [--repeats N] [--peer-python PYTHON] [--only CASE ...] [--batches N ...]

writes ``benchmarks/results/specs.md`` and ``.csv``, after each case what there is by then; with ``--only``, files named after these cases, so
that a part never takes the place of the whole. Programs of one case are timed in turn, XLand-MiniGrid in a process of its own after them. With ``--peer-python``, an interpreter of
an environment with xminigrid, XLand-MiniGrid plays rulesets with the same numbers of rules, things and cells; specs of a
walker as large as they are stand beside it (`specs_cases.likeness`), which are not those rulesets, and in the case ``carriers`` their
translations, which are. Run it on an idle machine. ``--batches`` are the numbers of slots, each of which compiles both sides anew.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import specs_cases as cases  # noqa: E402
from learning import RESULTS, hardware  # noqa: E402
from timing import Timed, in_turn  # noqa: E402

from jaxrl_envs.specs import ladder, tech_tree  # noqa: E402
from jaxrl_envs.specs.arrays import GridParams  # noqa: E402
from jaxrl_evolve import random  # noqa: E402
from jaxrl_evolve.generation.feedback import feedback_of  # noqa: E402
from jaxrl_evolve.generation.lifecycle import new_archive  # noqa: E402
from jaxrl_evolve.generation.offline import offline_proposer  # noqa: E402
from jaxrl_evolve.generation.tech_tree import domain  # noqa: E402
from jaxrl_evolve.results.report.text import csv_text, markdown_table  # noqa: E402
from jaxrl_evolve.storage.folder import write_text  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402

DIFFERENT, SLOTS, STEPS = 64, 1_024, 64
ALIKE = 8
"""Of the different specs, how many are also played alone."""
BATCHES = (256, 1_024, 8_192)
SPECS = 1_000
PEER = "XLand-MiniGrid"
COLUMNS = ("case", "what", "per_second", "ratio", "ratio_low", "ratio_high")
Row = dict[str, Any]
Batches = Sequence[int]


def row(case: str, what: str, rates: list[float], ratios: list[float] | None = None) -> Row:
    """Medians, and of ratios the least and the greatest."""
    told = ratios or [float("nan")]
    numbers = (statistics.median(rates), statistics.median(told), min(told), max(told))
    return dict(zip(COLUMNS, (case, what, *numbers), strict=True))


def mixing(repeats: int, peer: str | None, batches: Batches) -> list[Row]:
    """Seconds with different specs over those with equal ones, and over those with one folded in, turn by turn.

    Specs differ in what they cost, and the mean of different ones is what equal ones are to be compared with: there is
    a batch of equal slots for each of `ALIKE` specs, and their mean in each turn stands for them.
    """
    del peer, batches
    specs = cases.likenesses(DIFFERENT)
    alike = [specs[i] for i in range(0, DIFFERENT, DIFFERENT // ALIKE)]
    equal, folded = ([f"{name} {i}" for i in range(ALIKE)] for name in ("equal", "folded in"))
    programs = {"different": cases.playing(cases.slots(specs, SLOTS), SLOTS, STEPS)}
    for i, spec in enumerate(alike):
        programs[equal[i]] = cases.playing(cases.slots([spec], SLOTS), SLOTS, STEPS)
        inside = jax.tree.map(jax.numpy.asarray, spec)
        programs[folded[i]] = cases.playing(inside, SLOTS, STEPS, folded=True)
    found = in_turn(programs, repeats)
    together = lambda names: [statistics.fmean(turn) for turn in zip(*(found[n] for n in names), strict=True)]
    mixed = found["different"]
    told = {
        "different": mixed,
        f"equal, mean of {ALIKE} specs": together(equal),
        f"folded in, mean of {ALIKE} specs": together(folded),
    }
    return [
        row(
            f"{DIFFERENT} different specs beside those below, {SLOTS:,} slots",
            name,
            [SLOTS * STEPS / x for x in seconds],
            [x / y for x, y in zip(mixed, seconds, strict=True)],
        )
        for name, seconds in told.items()
    ]


def speed(repeats: int, peer: str | None, batches: Batches) -> list[Row]:
    """Of a walker's specs that are as large as rulesets."""
    return _beside("steps", "specs as large as rulesets", cases.likenesses(DIFFERENT), repeats, peer, batches)


def carriers(repeats: int, peer: str | None, batches: Batches) -> list[Row]:
    """Of the rulesets themselves, translated."""
    return _beside(
        "steps of carriers", "translated rulesets", cases.translations(DIFFERENT), repeats, peer, batches
    )


def _beside(
    case: str, what: str, specs: list[GridParams], repeats: int, peer: str | None, batches: Batches
) -> list[Row]:
    """Steps per second, and how many times XLand-MiniGrid's where that is at hand."""
    rows = []
    for batch in batches:
        steps = max(4, STEPS * SLOTS // batch // 4)
        program: Timed = cases.playing(cases.slots(specs, batch), batch, steps)
        mine = [batch * steps / x for x in in_turn({batch: program}, repeats)[batch]]
        other = _peer(peer, batch, max(4, steps // 8), repeats) if peer else []
        ratios = [statistics.median(mine) / x for x in other]
        rows.append(row(f"{case}, {batch:,} slots", what, mine, ratios or None))
        rows += [row(f"{case}, {batch:,} slots", PEER, other)] if peer else []
    return rows


def _peer(peer: str, batch: int, steps: int, repeats: int) -> list[float]:
    """What `specs_peer` says, by the interpreter ``peer``."""
    program = Path(__file__).with_name("specs_peer.py")
    command = [peer, str(program), *map(str, (batch, steps, min(repeats, 7), DIFFERENT))]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def validation(repeats: int, peer: str | None, batches: Batches) -> list[Row]:
    """Whole validation of data of the tech tree's family, after the programs have been compiled."""
    del peer, batches
    family = tech_tree.family()
    drawn = jax.device_get(jax.jit(jax.vmap(family.sample))(jax.random.split(jax.random.key(0), SPECS)))
    member = lambda i: tech_tree.decoded(jax.tree.map(lambda leaf: leaf[i], drawn))
    data = [cases.GRID.write(member(i)) for i in range(SPECS)]
    ladder.validate(data[:64])
    rates = _rates(lambda: ladder.validate(data), SPECS, min(repeats, 3))
    return [row(f"validation of {SPECS:,} specs", "specs", rates)]


def proposals(repeats: int, peer: str | None, batches: Batches) -> list[Row]:
    """Proposals of the offline proposer, checked and told apart; and edits on the device, whose outcome holds by construction."""
    del peer, batches
    own, family = domain(), tech_tree.family()
    feedback = feedback_of({name: (64, 60 - 8 * i) for i, name in enumerate(tech_tree.SKILLS)}, {})
    archive, proposer = new_archive(own), offline_proposer(own)
    ask = lambda: proposer.propose(feedback, archive, 32, random.key(0))
    count = len(ask().proposals)
    parents = jax.jit(jax.vmap(family.sample))(jax.random.split(jax.random.key(0), SPECS))
    edit = jax.jit(jax.vmap(family.edited))
    edits = lambda: jax.block_until_ready(edit(jax.random.split(jax.random.key(1), SPECS), parents))
    edits()
    return [
        row("proposals", "offline proposer", _rates(ask, count, min(repeats, 7))),
        row("proposals", "edits of levels on the device", _rates(edits, SPECS, repeats)),
    ]


def _rates(work: Callable[[], Any], count: int, repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(count / (time.perf_counter() - began))
    return found


CASES = {
    "mixing": mixing,
    "speed": speed,
    "carriers": carriers,
    "validation": validation,
    "proposals": proposals,
}


def drift(rows: Sequence[Row]) -> str:
    """By how much the peer's same program differs from itself where two cases timed it; nothing where one did."""
    found: dict[str, list[float]] = {}
    for r in rows:
        if r["what"] == PEER:
            found.setdefault(r["case"].partition(", ")[2], []).append(r["per_second"])
    most = max((max(rates) / min(rates) for rates in found.values() if len(rates) > 1), default=None)
    return (
        ""
        if most is None
        else f" Timed twice here, its same program differed by a factor of up to {most:.1f}."
    )


def markdown(rows: list[Row], about: dict[str, str]) -> str:
    """The table for readers."""
    told = lambda x, form: "" if x != x else format(x, form)
    lines = [
        (
            r["case"],
            r["what"],
            f"{r['per_second']:,.0f}",
            told(r["ratio"], ".2f"),
            f"[{r['ratio_low']:.2f}, {r['ratio_high']:.2f}]" if r["ratio"] == r["ratio"] else "",
        )
        for r in rows
    ]
    intro = (
        f"Medians. Under mixing, the ratio is time with {DIFFERENT} different specs over time with what the line names; under steps, steps per "
        "second over XLand-MiniGrid's, which plays rulesets of 18 rules on 13 × 13 cells with the same view, and makes starts for all slots in each "
        "step, where ours are made for those that ended. Specs as large as rulesets are a walker's, and are not those rulesets; translated ones are. Least and greatest are over the peer's own turns, beside the median of ours: "
        "XLand-MiniGrid runs in a process of its own afterwards, and what the machine drifts between the two is not in them."
        f"{drift(rows)} Speed is compared among JAX libraries: environments in C are faster."
    )
    table = markdown_table(("case", "what", "per second", "ratio", "least and greatest"), lines)
    facts = "".join(f"{name.capitalize()}: `{value}`. " for name, value in about.items() if value)
    return f"# Specs\n\n{intro}\n\n{table}\n\n{facts.strip()}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--peer-python", help="interpreter of an environment with xminigrid")
    parser.add_argument("--only", nargs="+", choices=[*CASES], default=[*CASES])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    rows, origin = [], provenance()
    about = {
        "hardware": hardware(origin["device"]),
        "versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": (origin["git"] or {}).get("commit", ""),
        "command": "python benchmarks/specs.py" + (" --peer-python PYTHON" if args.peer_python else ""),
    }
    if set(args.only) != set(CASES):
        about["command"] += f" --only {' '.join(args.only)}"
    named = "specs" if set(args.only) == set(CASES) else "_".join(["specs", *args.only])
    for name in args.only:
        found = CASES[name](args.repeats, args.peer_python, args.batches)
        print(*found, sep="\n", flush=True)
        rows += found
        lines = [[r[column] for column in COLUMNS] for r in rows]
        write_text(args.results / f"{named}.csv", csv_text(COLUMNS, lines))
        write_text(args.results / f"{named}.md", markdown(rows, about))


if __name__ == "__main__":
    sys.exit(main())
