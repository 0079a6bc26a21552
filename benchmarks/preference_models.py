"""What learned oracles make of the mixed game: a score, embeddings, and both, from the same labels.

    python benchmarks/preference_models.py [--seeds N] [--pairs N] [--table]

writes ``benchmarks/results/preference_models.csv``, a row for each model and seed, and ``.md``, made from these rows; ``--table`` makes the latter alone.
"""

from __future__ import annotations

import argparse
import csv
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.preferences import games
from jaxrl_evolve.preferences.learned import PreferenceModel, as_oracle, bradley_terry, fit, gpm, hrc
from jaxrl_evolve.preferences.minimax import minimax_winner
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean, mean_of_pairs
from jaxrl_evolve.storage.provenance import origin

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = (
    *("model", "numbers per item", "seed", "divergence", "largest error", "exploitability"),
    *("hardware", "date", "commit"),
)
Row = Mapping[str, Any]
N = 9
MODELS: dict[str, tuple[PreferenceModel, int]] = {
    "Bradley-Terry": (bradley_terry(N), 1),
    **{f"GPM, {k} planes": (gpm(N, k), 2 * k) for k in (1, 2, 3, 4)},
    **{f"HRC, {k} planes": (hrc(N, k), 2 * k + 1) for k in (1, 2, 3)},
}


def learned(model: PreferenceModel, seed: int, pairs: int) -> tuple[float, float, float]:
    """KL divergence of the labels in nats, largest error of a probability, exploitability of the Minimax Winner it finds."""
    game, rng = games.mixed(), np.random.default_rng(seed)
    true = (1 + game.advantage) / 2
    i, j = rng.integers(0, N, (2, pairs))
    label = jnp.asarray(rng.uniform(size=pairs) < true[i, j], jnp.float32)
    one_hot, item = jnp.eye(N), jnp.arange(N)
    go = jax.jit(lambda key: fit(model, key, one_hot[i], one_hot[j], label, steps=2_000, learning_rate=0.03))
    oracle = as_oracle(model, go(jax.random.key(seed)).params, lambda a: one_hot[a])
    probs = jax.vmap(lambda a: jax.vmap(lambda b: oracle.prob(a, b, None))(item))(item)
    found = np.asarray(probs, np.float64).clip(1e-6, 1 - 1e-6)
    apart = ~np.eye(N, dtype=bool)
    p = true[apart].clip(1e-12, 1 - 1e-12)
    divergence = (p * np.log(p / found[apart]) + (1 - p) * np.log((1 - p) / (1 - found[apart]))).mean()
    winner = minimax_winner(found - found.T).policy
    return float(divergence), float(np.abs(found - true).max()), float((game.advantage @ winner).max())


def differences(rows: Sequence[Row]) -> str:
    """HRC less GPM with one plane more, in pairs of seeds."""
    of = lambda model, what: {row["seed"]: float(row[what]) for row in rows if row["model"] == model}
    lines = []
    for k in (1, 2, 3):
        one, other = f"HRC, {k} planes", f"GPM, {k + 1} planes"
        told = []
        for what in ("divergence", "exploitability"):
            mine, theirs = of(one, what), of(other, what)
            gaps = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
            told.append(with_bounds(mean_of_pairs(gaps)) if gaps else "")
        lines.append([one, other, *told])
    return markdown_table(["Model", "Less", "KL divergence, nats", "Exploitability of its winner"], lines)


def page(rows: Sequence[Row], pairs: int) -> str:
    """The report, of the rows alone."""
    lines = []
    for name, (_, numbers) in MODELS.items():
        own = [row for row in rows if row["model"] == name]
        if own:
            columns = ([float(row[what]) for row in own] for what in COLUMNS[3:6])
            worst = max(float(row["exploitability"]) for row in own)
            lines.append([name, numbers, *(with_bounds(estimate(x, mean)) for x in columns), f"{worst:.3f}"])
    head = [
        "Model",
        "Numbers per item",
        "KL divergence, nats",
        "Largest error of P",
        "Exploitability of its winner",
        "Worst seed",
    ]
    seeds = len({row["seed"] for row in rows})
    uniform = float(games.mixed().advantage.mean(1).max())
    facts = []
    for name in ("hardware", "date", "commit"):
        told = "; ".join(sorted({str(row.get(name) or "") for row in rows} - {""}))
        facts.append(f"{name.capitalize()}: {told or 'not in the rows'}.")
    return (
        "# Learned oracles on the mixed game\n\n"
        f"Nine options in three tiers, ordered, with circles inside; {pairs:,} hard labels of uniform pairs; means over {seeds} seeds "
        "with 95 % bootstrap intervals. The exploitability, in advantage units and in the true game, is that of the Minimax Winner of what was learned; "
        f"that of a uniform policy is {uniform:.3f}.\n\n{markdown_table(head, lines)}\n\n"
        "HRC has one number per item less than GPM with one plane more. Differences of the two, seed against seed, with Student's 95 % intervals, not corrected for their number:\n\n"
        f"{differences(rows)}\n\n{' '.join(facts)}\n\n"
        f"Command: `python benchmarks/preference_models.py --seeds {seeds} --pairs {pairs}`.\n"
    )


def measure(seeds: int, pairs: int) -> list[Row]:
    """A row for each model and seed."""
    facts, rows = origin(), list[Row]()
    about = (f"{facts['device']}, {facts['cores']} cores", str(datetime.date.today()), facts["commit"])
    for name, (model, numbers) in MODELS.items():
        for seed in range(seeds):
            values = (name, numbers, seed, *learned(model, seed, pairs), *about)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            print(*values[:6], sep=" | ", flush=True)
    return rows


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write, or write the page of the rows that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=8_000)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    store = given.results / "preference_models.csv"
    if not given.table:
        rows = measure(given.seeds, given.pairs)
        store.write_text(csv_text(COLUMNS, [[row[name] for name in COLUMNS] for row in rows]))
    with store.open(newline="", encoding="utf-8") as file:
        text = page(list(csv.DictReader(file)), given.pairs)
    (given.results / "preference_models.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
