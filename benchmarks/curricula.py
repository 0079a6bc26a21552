"""Curricula on mazes at equal steps, those that only score levels counted: success on all levels and on the worst.

    python benchmarks/curricula.py methods|factors [--protocol small|published] [--only NAME ...] [--seeds N] [--steps N] [--report]

runs ``jaxrl-evolve benchmark curricula`` on the curricula of a suite into ``runs/curricula`` and keeps its page and its row for each seed as
``benchmarks/results/curricula_<suite>.md`` and ``.csv`` (with the protocol's name, if that is not the small one). ``--report`` only writes
the page. What is compared, and what must hold of the task beforehand, is in ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from learning import RESULTS, ROOT, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.storage.folder import write_text
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.curricula_benchmark import benchmark_curricula, report_curricula
from jaxrl_evolve.training.curricula_suite import METHODS, PROTOCOLS

RUNS = ROOT / "runs" / "curricula"
_TWICE = "repeats=True unique=False"
SUITES = {
    "methods": METHODS,
    # Level replay as it is here, four suspects for why it is weak in published results, each by itself: sharp ranks, levels drawn again within
    # a batch, the maximum of the last visit, and only the highest scores, of which a batch replays as many. Top-k has no temperature, so there are
    # two that have all: by sharp ranks, and by the one highest score, as the published runs draw.
    "factors": (
        *("plr", "plr temperature=0.3", f"plr {_TWICE}", "plr best=last", "plr prioritisation=top-k top=128"),
        f"plr temperature=0.3 {_TWICE} best=last",
        f"plr prioritisation=top-k top=1 {_TWICE} best=last",
    ),
}
"""Curricula with their options; the same ones are the same cells in both suites."""


def keep(suite: str, protocol: str, out: Path, results: Path) -> None:
    """The page of a suite and its rows, from the cells that are there."""
    made = report_curricula(out, protocol, SUITES[suite])
    name = f"curricula_{suite}{'' if protocol == 'small' else f'_{protocol}'}"
    machine = f"Hardware: `{hardware(provenance()['device'])}`. Date: {datetime.date.today()}. `python benchmarks/curricula.py {suite}`."
    write_text(results / f"{name}.md", f"{made.markdown}\n{machine}\n")
    rows = next(path for path in made.files if path.name == "runs.csv")
    write_text(results / f"{name}.csv", rows.read_text())


def main() -> None:
    """Train, test and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="small")
    parser.add_argument(
        "--only", nargs="*", default=None, help="some of the suite's, as they are written there"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    chosen = SUITES[given.suite] if given.only is None else given.only
    if unknown := [name for name in chosen if name not in SUITES[given.suite]]:
        parser.error(
            f"--only has {unknown[0]!r}; it must be among {', '.join(map(repr, SUITES[given.suite]))}"
        )
    if not given.report:
        use_compilation_cache()
        for name in chosen:  # one after the other, so that the page is there after each
            benchmark_curricula(
                given.out,
                presets=[name],
                protocol=given.protocol,
                seeds=given.seeds,
                steps=given.steps,
                quiet=False,
            )
            keep(given.suite, given.protocol, given.out, given.results)
    keep(given.suite, given.protocol, given.out, given.results)


if __name__ == "__main__":
    main()
