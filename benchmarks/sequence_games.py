"""Where do methods on completions end when preferences go in circles? Last and average policies of a decoder, exactly, at equal queries.

    python benchmarks/sequence_games.py tune  [--only METHOD ...]
    python benchmarks/sequence_games.py train [--only METHOD ...]
    python benchmarks/sequence_games.py table

A decoder says three tokens out of six, without a prompt. Judged is the sum of the tokens modulo 3, in a circle, by single hard labels of an oracle that is no score (`games.populations`). There are 216
completions, so the probability of each is computed, and exploitability is exact. It extends ``preference_games.py``, whose policies are tables, to the learner of completions and its optimiser.

What was written down before any run: every method asks for as many labels, whatever it asks for in an update; its step size and the one number of its own (`METHODS`) are the best of nine by the mean of four
seeds that are not reported, once for each target (``tune``). Targets are the mean exploitability of the policies of the last fifth (*late*), and the exploitability of the *average* of all policies.
Reported are eight seeds, in advantage units. A method passes the bar on a game if the mean is below .03 and no seed is above .05. It is better or worse than DPO, or than IPO, if the 95 % interval of the
difference, seed against seed, leaves out zero. Expected is that SPPO, OMWU and SPO go round and average well, that DPO, IPO, INPO, IPO-MD and Nash-MD stop beside the winner, by the reference that does not move, and that EMA-SPO
alone passes with both.

Which interval was not written down; that of the differences is Student's, since the resampled one of eight pairs, which the first pages had, is too narrow. That of each exploitability is resampled. This is a **second run** on the same
seeds, reported ones too: after the first table had been seen (commit 65d6b04), log-ratios that are mere rounding were set aside in the learner, and all methods were tuned and played once more. In the first, SPPO, EMA-SPO and Nash Prox
passed on the uneven game with their late policies; DPO and EGPO did not.

Each cell is a file of the store, ``benchmarks/results/sequence_games``; those that are there are left alone. ``table`` makes ``benchmarks/results/sequence_games.md`` and ``.csv`` of the store and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import random
from jaxrl_evolve.algorithms.sequence import METHODS as KNOWN
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.learners.learner import Learner, traced
from jaxrl_evolve.learners.sequence import sequence
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.preferences.games import populations
from jaxrl_evolve.preferences.oracle import Oracle, from_advantage
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean, mean_of_pairs
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.storage.provenance import origin

RESULTS = Path(__file__).resolve().parent / "results"
VOCABULARY, LENGTH, BEGINNING = 6, 3, 2
"""Tokens, how many are said, and the one that comes before them."""
GAMES = {"populations": (0.4, 0.35, 0.25), "uneven": (0.45, 0.45, 0.10)}
QUERIES, ENVS = 89_600, 64
RATES = (1e-3, 3e-3, 1e-2)
TUNED, REPORTED = (100, 101, 102, 103), tuple(range(8))
TARGETS = ("late", "average")
_SPO = {"loss": "reinforce", "worth": "preference", "advantage": "half", "aggregate": "sum"}
OWN: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "spo": (_SPO, {}),
    "ema-spo": ({**_SPO, "reference": "average", "kl": "reward_to_go"}, {"reference_rate": 0.01}),
}
"""Methods without a name in the library: win rates by the score function, alone and held by the moving average."""
METHODS: dict[str, tuple[str, tuple[float, ...]]] = {
    "dpo": ("beta", (0.03, 0.1, 0.3)),
    "ipo": ("beta", (0.03, 0.1, 0.3)),
    "sppo": ("eta", (0.3, 1.0, 3.0)),
    "nash-md": ("kl_coef", (0.02, 0.05, 0.2)),
    "ipo-md": ("beta", (0.03, 0.1, 0.3)),
    "inpo": ("beta", (0.03, 0.1, 0.3)),
    "spo": ("entropy_coef", (0.0, 0.003, 0.01)),
    "ema-spo": ("kl_coef", (0.02, 0.05, 0.2)),
    **dict.fromkeys(("omwu", "egpo", "mnpo", "nash-prox"), ("beta", (0.03, 0.1, 0.3))),
}
"""By name: the number of its own that is tuned, and its values."""
BASELINES = ("dpo", "ipo")
_ALL = np.array(list(itertools.product(range(VOCABULARY), repeat=LENGTH)), np.int32)
_CLASSES = _ALL.sum(1) % 3


def speaking() -> Env:
    """Three tokens; the reward at the end is the class of their sum, which nobody here learns from: the oracle reads it."""
    seen = lambda token: jnp.stack([token, jnp.int32(1)])

    def reset(key: Any, params: Any) -> Any:
        del key, params
        return seen(jnp.int32(BEGINNING)), (jnp.int32(0), jnp.int32(0))

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key, params
        place, total = state[0] + 1, (state[1] + action) % 3
        over = place == LENGTH
        reward = jnp.where(over, total, 0).astype(jnp.float32)
        return EnvStep(
            seen(action), (place, total), reward, over, jnp.bool_(False), {"asked": jnp.bool_(True)}
        )

    space = Box((0.0, 0.0), (VOCABULARY - 1.0, 1.0), (2,), "int32")
    return Env("speaking", reset, step, jnp.int32(0), space, Discrete(VOCABULARY))


def circle(weights: Sequence[float]) -> Oracle:
    """Who prefers which class, in a circle."""
    table = jnp.asarray(populations(weights).advantage, jnp.float32)
    of = lambda summary: jnp.clip(jnp.round(summary.total), 0, 2).astype(jnp.int32)
    return from_advantage("circle", lambda a, b, _: table[of(a), of(b)])


class Player(NamedTuple):
    """A method on a game.

    Attributes:
        learner: of completions.
        network: its policy's.
        env: what is played.
        advantage: float32 ``[3, 3]`` of classes.
    """

    learner: Learner
    network: Any
    env: Env
    advantage: Any


def player(method: str, game: str, envs: int = ENVS) -> Player:
    """A method, as the library has it or as `OWN` says."""
    settings, hp = OWN[method] if method in OWN else KNOWN[method][1:]
    decoder = DecoderConfig(layers=1, width=16, heads=2, kv_heads=1, mlp=32, context=LENGTH)
    network = NetworkConfig(kind="decoder", decoder=decoder)
    # MNPO would be told the oracle's probabilities; here all are given labels.
    config = SequenceConfig(network=network, **settings | {"soft": False})
    env = speaking()
    numbers = dataclasses.replace(SequenceHyperparameters(), **hp)
    learner = sequence(env, envs, LENGTH, config, numbers, oracle=circle(GAMES[game]))
    net = make_network(network, env.observation_space, env.action_space)
    return Player(learner, net, env, jnp.asarray(populations(GAMES[game]).advantage, jnp.float32))


def classes_of(network: Any, params: Any) -> Any:
    """The probability of each class of completions, float32 ``[3]``: all completions are read."""
    before = np.concatenate([np.full((len(_ALL), 1), BEGINNING, np.int32), _ALL[:, :-1]], 1).T
    obs = jnp.stack([jnp.asarray(before), jnp.ones_like(before)], -1)
    first = jnp.broadcast_to(jnp.arange(LENGTH)[:, None] == 0, before.shape)
    said = network.unroll(params, obs, first, network.initial_memory(len(_ALL)))[0]
    probability = jnp.exp(said.log_prob(jnp.asarray(_ALL.T)).sum(0))
    return jax.ops.segment_sum(probability, jnp.asarray(_CLASSES), 3)


def play(made: Player, key: Any, hp: Any, updates: int, envs: int = ENVS) -> Any:
    """One run: probabilities of classes after each update, ``[updates, 3]``, and the labels that were asked for."""
    learner, venv = made.learner, vectorize(made.env, envs)
    key_init, key_reset, key_run = jax.random.split(key, 3)

    def update(carry: Any, i: Any) -> Any:
        state, slots, memory = carry
        one, two = jax.random.split(jax.random.fold_in(key_run, i))
        slots, memory, seen, _ = rollout(one, learner, state, venv, slots, memory, made.env.params, LENGTH)
        clock = Clock.at(i * float(envs * LENGTH), float(updates * envs * LENGTH))
        state, told = cast(Any, learner.update)(two, state, seen, hp, (), clock)
        return (state, slots, memory), (classes_of(made.network, state.params), told["queries"])

    begin = (learner.init(key_init, hp), venv.reset(key_reset, made.env.params), learner.initial_memory(envs))
    shares, asked = jax.lax.scan(update, begin, jnp.arange(updates))[1]
    return shares, asked[-1]


def scores(advantage: Any, shares: np.ndarray) -> dict[str, float]:
    """Exploitability of one run, ``shares [updates, 3]``: of the last policy, of the last fifth, of the average of all."""
    of = lambda policy: float((np.asarray(advantage) @ policy).max())
    late = shares[-max(1, len(shares) // 5) :]
    found = {"last": of(shares[-1]), "late": float(np.mean([of(x) for x in late]))}
    return found | {"average": of(shares.mean(0))}


def updates_of(made: Player, queries: int, envs: int = ENVS) -> int:
    """Updates that ask for so many labels."""
    hp = traced(made.learner.default_hp)
    of_one = int(jax.jit(lambda key: play(made, key, hp, 1, envs)[1])(random.key(0)))
    return max(1, queries // of_one)


def played(
    method: str,
    game: str,
    settings: Sequence[Mapping[str, float]],
    seeds: Sequence[int],
    queries: int,
    envs: int = ENVS,
) -> list[dict[str, Any]]:
    """A row for each of the settings and seeds, all side by side in one program."""
    made = player(method, game, envs)
    updates = updates_of(made, queries, envs)
    lanes = list(itertools.product(settings, seeds))
    column = lambda name, value: jnp.asarray([one.get(name, value) for one, _ in lanes], jnp.float32)
    default = made.learner.default_hp
    names = [field.name for field in dataclasses.fields(default)]
    hp = dataclasses.replace(
        traced(default), **{name: column(name, getattr(default, name)) for name in names}
    )
    keys = jnp.stack([random.key(seed) for _, seed in lanes])
    run = jax.jit(jax.vmap(lambda key, hp: play(made, key, hp, updates, envs)))
    shares, asked = jax.device_get(run(keys, hp))
    return [
        {"hp": dict(one), "seed": seed, "queries": int(asked[i]), "updates": updates, **scores(made.advantage, shares[i])}
        for i, (one, seed) in enumerate(lanes)
    ]  # fmt: skip


def settings_of(method: str) -> list[dict[str, float]]:
    """The nine that are tried."""
    name, values = METHODS[method]
    return [{"learning_rate": rate, name: value} for rate in RATES for value in values]


def cell(store: Path, method: str, game: str, what: str) -> Path:
    """The file of what was tuned (``tune``), or of the runs that are reported for a target."""
    return store / game / method / f"{what}.json"


def kept(store: Path, method: str, game: str, what: str) -> list[dict[str, Any]]:
    """Rows of a cell; none where it is not there."""
    path = cell(store, method, game, what)
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def chosen(store: Path, method: str, game: str, target: str) -> dict[str, float] | None:
    """The settings that did best for the seeds of the choice; None where these were not played."""
    found: dict[str, list[float]] = {}
    for row in kept(store, method, game, "tune"):
        found.setdefault(json.dumps(row["hp"]), []).append(row[target])
    # What is not a number is no good.
    worst = lambda text: float(np.nan_to_num(np.mean(found[text]), nan=np.inf))
    return json.loads(min(found, key=worst)) if found else None


def make(store: Path, method: str, game: str, what: str, queries: int = QUERIES) -> None:
    """A cell in the store, unless it is there."""
    path = cell(store, method, game, what)
    if path.exists():
        return
    settings, seeds = settings_of(method), TUNED
    if what != "tune":
        best = chosen(store, method, game, what)
        if best is None:
            raise SystemExit(
                f"{method} has no settings yet: python benchmarks/sequence_games.py tune --only {method}"
            )
        settings, seeds = [best], REPORTED
    rows = played(method, game, settings, seeds, queries)
    facts = {"method": method, "game": game, "what": what, **origin(), "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{json.dumps(facts, indent=1)}\n".encode())
    print(f"{method} on {game}, {what}: {len(rows)} runs", flush=True)


def about(store: Path) -> str:
    """On what the cells of the store were made, and of which code."""
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(store.glob("*/*/*.json"))]
    said = lambda key: "; ".join(sorted({str(each[key]) for each in cells if key in each}))
    dirty = " A + after a commit: files had changed since." if "+" in said("commit") else ""
    return f"Hardware: {said('device')}, {said('cores')} cores; jax {said('jax')}. Commits: {said('commit')}.{dirty}"


def said(method: str, name: str, value: float) -> str:
    """A setting that was chosen, with an asterisk at the edge of what was tried (0 is no edge: there is nothing below)."""
    values = RATES if name == "learning_rate" else METHODS[method][1]
    return f"{name} {value:g}" + "*" * (value > 0 and value in (min(values), max(values)))


def table(store: Path, results: Path) -> None:
    """``sequence_games.md`` and ``.csv``."""
    lines, rows = [], []
    for game, target in itertools.product(GAMES, TARGETS):
        runs = {method: kept(store, method, game, target) for method in METHODS}
        of = lambda method, runs=runs, target=target: {row["seed"]: row[target] for row in runs[method]}
        for method in METHODS:
            if not runs[method]:
                continue
            own, told = of(method), []
            for other in BASELINES:
                both = sorted(own.keys() & of(other).keys())
                gaps = [own[seed] - of(other)[seed] for seed in both]
                told.append(with_bounds(mean_of_pairs(gaps)) if gaps and other != method else "")
            values = [*own.values()]
            passes = "yes" if np.mean(values) < 0.03 and max(values) < 0.05 else "no"
            best = ", ".join(said(method, *pair) for pair in runs[method][0]["hp"].items())
            lines.append(
                [
                    game,
                    target,
                    method,
                    with_bounds(estimate(values, mean)),
                    f"{max(values):.3f}",
                    passes,
                    *told,
                    best,
                ]
            )
            rows += [[game, target, method, row["seed"], row["queries"], row["last"], row["late"], row["average"]] for row in runs[method]]  # fmt: skip
    header = ["Game", "Target", "Method", "Exploitability", "Worst seed", "Passes", "Less DPO's", "Less IPO's", "Settings"]  # fmt: skip
    parts = [
        "# Completions judged in circles",
        "\n\n".join((__doc__ or "").split("\n\n")[2:5]),
        f"{QUERIES:,} labels in a run, {ENVS} completions in an update. An asterisk: the number is the smallest or largest that was tried, so others may do better. 95 % intervals, not corrected for their number.",
        markdown_table(header, lines),
        about(store),
        "Commands: `python benchmarks/sequence_games.py tune`, `… train`, `… table`.",
    ]
    results.mkdir(parents=True, exist_ok=True)
    (results / "sequence_games.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    columns = ["game", "target", "method", "seed", "queries", "last", "late", "average"]
    (results / "sequence_games.csv").write_text(csv_text(columns, rows), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Tune, train, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["tune", "train", "table"])
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--store", type=Path, default=RESULTS / "sequence_games")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    use_compilation_cache()
    if given.action == "table":
        table(given.store, given.results)
        return
    for method, game in itertools.product(given.only, GAMES):
        for what in ("tune",) if given.action == "tune" else TARGETS:
            make(given.store, method, game, what)


if __name__ == "__main__":
    main()
