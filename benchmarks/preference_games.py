"""Methods on games of preference at equal queries: the committed table.

    python benchmarks/preference_games.py [--out runs/preference_games]

plays what is not in the folder yet, as ``jaxrl-evolve preferences games`` does, and writes ``benchmarks/results/preference_games.md`` and
``.csv``. The outcome and the bar are in ``benchmarks/README.md``, where they were before the first run.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

from learning import RESULTS, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.self_play.benchmark import TARGETS, play_games
from jaxrl_evolve.self_play.benchmark_config import GamesConfig
from jaxrl_evolve.self_play.benchmark_report import markdown, rows_csv
from jaxrl_evolve.storage.provenance import provenance

GAMES = ("biased_rps", "populations", "random10", "condorcet", "mixed", "sequences", "sequences_uneven")
BAR_MEAN, BAR_WORST = 0.03, 0.05


def bars(found: list[dict[str, Any]]) -> str:
    """Which methods pass the bar on which games, by what was played."""
    lines = []
    for target, told in zip(TARGETS, ("last iterates", "average policy"), strict=True):
        passed: dict[str, list[str]] = {}
        for cell in found:
            values = [row[target] for row in cell["rows"] if row["target"] == target]
            if sum(values) / len(values) < BAR_MEAN and max(values) < BAR_WORST:
                passed.setdefault(cell["method"], []).append(cell["game"])
        each = "; ".join(
            f"`{m}` on {len(g)} ({', '.join(g)})" for m, g in sorted(passed.items(), key=lambda x: -len(x[1]))
        )
        lines.append(f"- {told}: {each or 'none'}.")
    return "\n".join(lines)


def main() -> None:
    """Play and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", default="runs/preference_games", type=Path)
    out = parser.parse_args().out
    use_compilation_cache()
    config = GamesConfig()
    found = play_games(config, out, games=GAMES, told=lambda line: print(line, flush=True))
    text = markdown(config, found)
    head, _, numbers = text.partition("## Numbers")
    parts = [
        head.rstrip(),
        f"## Below the bar\n\nMean below {BAR_MEAN} and no seed above {BAR_WORST}, in advantage units.",
        bars(found),
        f"## Numbers{numbers}".rstrip(),
        f"Hardware: `{hardware(provenance()['device'])}`, shared with other work; nothing here depends on time. Date: {datetime.date.today()}.",
        "Command: `python benchmarks/preference_games.py`.",
    ]
    (RESULTS / "preference_games.md").write_text("\n\n".join(parts) + "\n")
    (RESULTS / "preference_games.csv").write_text(rows_csv(found))


if __name__ == "__main__":
    main()
