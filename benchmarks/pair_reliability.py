"""How much of what a pair's noise counts for is the objective, and how much is luck?

    python benchmarks/pair_reliability.py run SIGMA [SIGMA ...] [--draws N]
    python benchmarks/pair_reliability.py table

The same 32 pairs around the start of study b's TA-LPO (`horizon_studies.py`) live again and again, with new horizons and
random numbers in every draw: those of each pair its own, or of all pairs the same (``evolution.keys``). The reliability of a
shaping is the mean product of a pair's weights in two draws over their mean square: 1 if all is the objective's doing, 0
if all is luck. ``run`` writes the fitness of every life to ``benchmarks/results/pair_reliability/SIGMA.npz``, ``table`` makes
``benchmarks/results/pair_reliability.md`` of these files alone. Intervals (95 %) resample pairs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from horizon_studies import STUDIES
from horizon_study import Place

from jaxrl_evolve import random
from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.meta.evolution import pair_weights
from jaxrl_evolve.meta.experiment import build_meta, tasks
from jaxrl_evolve.meta.horizons import sample_horizons
from jaxrl_evolve.meta.lifetimes import live_pairs
from jaxrl_evolve.results.report.text import markdown_table, with_bounds
from jaxrl_evolve.results.statistics import Estimate
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.experiment import traced

RESULTS = Path(__file__).resolve().parent / "results"
PAIRS = 32
SHAPINGS = ("sign", "difference", "centred_rank", "z_score")
KEYS = ("pair", "generation")


def run(sigma: float, draws: int, store: Path) -> None:
    """Every life of some draws."""
    place = Place("b", "CartPole-v1", store, store, STUDIES["b"]({1.0: 3e-3}))
    config = place.configuration("ta-lpo-constant", 0)
    experiment, hp = build_meta(config), traced(config.hp)
    eta = experiment.start(random.key(5))
    noise = jax.random.split(random.key(1), PAIRS)
    live = jax.jit(live_pairs(experiment.lifetime, 2))
    params = tasks(experiment.env, noise)
    fitness: dict[str, list[np.ndarray]] = {how: [] for how in KEYS}
    for draw in range(draws):
        key = jax.random.fold_in(random.key(2), draw)
        lengths = sample_horizons(config.horizons, jax.random.fold_in(key, 1), PAIRS, jnp.float32(0.0))
        own = jax.random.split(jax.random.fold_in(key, 2), PAIRS)
        for how, keys in zip(KEYS, (own, own[jnp.zeros(PAIRS, jnp.int32)]), strict=True):
            lives = live(eta, jnp.float32(sigma), noise, keys, hp, params, lengths)
            fitness[how].append(np.asarray(lives.fitness))
        print(f"sigma {sigma:g}: {draw + 1} of {draws} draws", flush=True)
    store.mkdir(parents=True, exist_ok=True)
    facts = np.frombuffer(json.dumps(origin()).encode(), np.uint8)
    arrays = {how: np.stack(found) for how, found in fitness.items()}
    np.savez_compressed(store / f"{sigma:g}.npz", facts=facts, **arrays)


def reliability(weights: np.ndarray, resamples: int = 2_000) -> Estimate:
    """Of weights ``[draws, pairs]``."""
    draws, pairs = weights.shape
    products = (weights.sum(0) ** 2 - (weights**2).sum(0)) / (draws * (draws - 1))  # of two different draws
    squares = (weights**2).mean(0)
    picked = np.random.default_rng(0).integers(0, pairs, (resamples, pairs))
    ratios = products[picked].sum(1) / squares[picked].sum(1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Estimate(float(products.sum() / squares.sum()), float(low), float(high))


def table(store: Path, results: Path) -> None:
    """The table from the store alone."""
    lines, facts = [], {}
    for path in sorted(store.glob("*.npz"), key=lambda path: float(path.stem)):
        with np.load(path) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            for how in KEYS:
                weights = [
                    np.stack([np.asarray(pair_weights(jnp.asarray(f), s)[0]) for f in arrays[how]])
                    for s in SHAPINGS
                ]
                cells = [with_bounds(reliability(w.astype(np.float64))) for w in weights]
                lines.append([path.stem, how, len(weights[0]), *cells])
    head = ["Deviation of the noise", "Random numbers of a", "Draws", *SHAPINGS]
    text = f"# Reliability of pairs\n\n{(__doc__ or '').partition('table' + chr(10))[2].strip()}\n\n{markdown_table(head, lines)}\n\n"
    text += f"Hardware: {facts['cores']} cores ({facts['device']}), jax {facts['jax']}.\n"
    (results / "pair_reliability.md").write_text(text, encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Run or tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["run", "table"])
    parser.add_argument("sigma", nargs="*", type=float)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--store", type=Path, default=RESULTS / "pair_reliability")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    given.results.mkdir(parents=True, exist_ok=True)
    if given.action == "table":
        table(given.store, given.results)
        return
    use_all_cores()
    use_compilation_cache()
    for sigma in given.sigma:
        run(sigma, given.draws, given.store)


if __name__ == "__main__":
    main()
