"""Methods on games at equal queries: tuned alike, played on other seeds, every cell a file of its own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.preferences.games import GAMES, Game, find_game
from jaxrl_evolve.preferences.solvers.feedback import exact, sampled
from jaxrl_evolve.preferences.solvers.play import Played, play
from jaxrl_evolve.preferences.solvers.solver import (
    Hyperparameters,
    Parametrisation,
    Solver,
    autoregressive,
    softmax,
)
from jaxrl_evolve.preferences.solvers.table import METHODS, Method, find_method
from jaxrl_evolve.self_play.benchmark_config import RECORDS, GamesConfig
from jaxrl_evolve.settings.names import spelled
from jaxrl_evolve.storage.folder import FolderError, read_json, write_json

TARGETS = ("late", "average")
"""What a method is tuned for, each a play of its own: the iterates of the last fifth, or the average of all."""
_LANES = 16  # plays side by side in one program, whatever their number, so that there is one program

Numbers = dict[str, float]


class Cell(NamedTuple):
    """A method on a game.

    Attributes:
        method: its name.
        game: its name.
        path: of its file.
    """

    method: str
    game: str
    path: Path


def play_games(
    config: GamesConfig,
    out: str | os.PathLike[str],
    methods: Sequence[str] = (),
    games: Sequence[str] = (),
    told: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Play what is not played yet.

    Args:
        config: the comparison.
        out: folder of results; a cell is ``out/cells/METHOD/GAME.json``, written whole. What is there is not played again.
        methods: by name; all by default.
        games: by name; all by default.
        told: is given a line as each cell is done.

    Returns:
        The content of the cells that were asked for.

    Raises:
        ValueError: a name is not known or there twice, numbers do not fit each other, or a cell in the folder, asked for or not, has other settings.
        OSError: the folder cannot be written.
    """
    plan = cells(Path(out), methods, games)
    found = {game: find_game(game) for game in dict.fromkeys(cell.game for cell in plan)}
    for game in found.values():
        _feedback(
            config, jnp.zeros_like(game.advantage, jnp.float32)
        )  # refuses sizes before anything is played
    settings = dataclasses.asdict(config)
    there = {cell: stored(cell, settings) for cell in plan}
    all_stored(Path(out), settings)
    made = []
    for i, cell in enumerate(plan):
        content = there[cell]
        if content is None:
            content = {"method": cell.method, "game": cell.game, "settings": settings}
            content |= played(config, find_method(cell.method), cell.method, found[cell.game])
            cell.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(cell.path, content)
        made.append(content)
        told(f"{i + 1} of {len(plan)}: {cell.method} on {cell.game}")
    return made


def cells(out: Path, methods: Sequence[str], games: Sequence[str]) -> list[Cell]:
    """What is to be played, method by method.

    Raises:
        ValueError: a name is not known, or there twice.
    """
    methods, games = [*map(spelled, methods)], [*map(spelled, games)]
    for kind, chosen, find in (("methods", methods, find_method), ("games", games, find_game)):
        for name in chosen:
            find(name)
            if chosen.count(name) > 1:
                raise ValueError(f"{kind} has {name!r} twice")
    return [
        Cell(method, game, out / "cells" / method / f"{game}.json")
        for method in methods or METHODS
        for game in games or GAMES
    ]


def stored(cell: Cell, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What is in a cell's file; None if there is none.

    Raises:
        ValueError: it was played with other settings, or is no such file.
    """
    if not cell.path.exists():
        return None
    content = read_json(cell.path)
    before = content.get("settings")
    if not isinstance(before, dict) or not isinstance(content.get("rows"), list):
        raise FolderError(f"{cell.path} is no cell of a comparison of methods on games")
    for name, value in settings.items():
        if before.get(name) != value:
            raise ValueError(
                f"{name} is {value!r}, but {cell.path} was played with {before.get(name)!r}; give another --out"
            )
    return content


def all_stored(out: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The contents of all cells of a folder, which one report tells of: by method and game, as they lie there.

    Raises:
        ValueError: one was played with other settings, or is no such file.
    """
    found = [
        stored(Cell(path.parent.name, path.stem, path), settings)
        for path in sorted(out.glob("cells/*/*.json"))
    ]
    return [content for content in found if content is not None]


def played(config: GamesConfig, method: Method, name: str, game: Game) -> dict[str, Any]:
    """Tune a method on a game, and play it on the seeds that are reported.

    Returns:
        ``tuned`` (numbers by target), ``tried`` (how many settings), ``rows`` (a mapping for each target and seed) and ``curves``, means over
        seeds of the last iterate and of the average.
    """
    go = kept(
        "preferences games",
        (name, len(game.advantage), game.sequence, _static(config)),
        lambda: _program(config, method, game),
    )
    probs = jnp.asarray((1 + game.advantage) / 2, jnp.float32)
    root = random.key(config.seed)
    settings = drawn_settings(method, config)
    tuned = dict.fromkeys(TARGETS, settings[0])
    if len(settings) > 1:
        key = jax.random.fold_in(root, random.KeyTag.TUNED_GAMES)
        keys = [jax.random.fold_in(key, i) for i in range(config.tuning_seeds)]
        found = _in_lanes(go, probs, [(numbers, k) for numbers in settings for k in keys])
        for target in TARGETS:
            score = outcome(found, target).reshape(len(settings), -1).mean(1)
            tuned[target] = settings[int(np.where(np.isfinite(score), score, np.inf).argmin())]
    keys = [jax.random.fold_in(root, i) for i in range(config.seeds)]
    found = _in_lanes(go, probs, [(tuned[target], k) for target in TARGETS for k in keys])
    asked = config.steps * config.queries if config.feedback == "sampled" else 0
    late, average, last = outcome(found, "late"), outcome(found, "average"), found.last_curve[:, -1]
    rows = [
        {
            "target": TARGETS[i // config.seeds], "seed": i % config.seeds, "late": late[i], "average": average[i],
            "last": last[i], "queries": asked,
        }
        for i in range(len(late))
    ]  # fmt: skip
    halves = lambda curve: curve.reshape(len(TARGETS), config.seeds, -1).mean(1).round(5).tolist()
    curves = {"late": halves(found.last_curve)[0], "average": halves(found.average_curve)[1]}
    return {"tuned": tuned, "tried": len(settings), "rows": rows, "curves": curves}


def outcome(found: Played, target: str) -> np.ndarray:
    """Exploitability of every play, for the target."""
    return np.asarray(found.late if target == "late" else found.average_curve[:, -1])


def drawn_settings(method: Method, config: GamesConfig) -> list[Numbers]:
    """The settings that a method tries: log-uniform within its ranges, the same for every game; its own numbers first."""
    own = {name: getattr(method.own, name) for name in method.ranges}
    if not config.tune or not method.ranges:
        return [own]
    rng = np.random.default_rng([random.KeyTag.TUNED_GAMES, config.seed])
    draw = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))
    more = [{name: draw(*bounds) for name, bounds in method.ranges.items()} for _ in range(config.tune - 1)]
    return [own, *more]


def _static(config: GamesConfig) -> tuple[Any, ...]:
    return config.steps, config.queries, config.feedback, config.start


def _feedback(config: GamesConfig, probs: Array) -> Any:
    return sampled(probs, config.queries) if config.feedback == "sampled" else exact(probs)


def _program(config: GamesConfig, method: Method, game: Game) -> Any:
    """``(probs, keys [lanes], hp [lanes]) -> Played [lanes]``, jitted: one for all games of a shape."""
    of: Parametrisation = autoregressive(*game.sequence) if game.sequence else softmax(len(game.advantage))
    solver: Solver = method.make(of)

    def one(probs: Array, key: Array, hp: Hyperparameters) -> Played:
        starting, playing = jax.random.split(key)
        start, steps = of.init(starting, config.start), config.steps // solver.asks
        return play(solver, _feedback(config, probs), probs, start, playing, hp, steps, RECORDS)

    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))


def _in_lanes(go: Any, probs: Array, plays: list[tuple[Numbers, Array]]) -> Played:
    """All plays, a fixed number at a time; the last are filled up with repetitions that nobody reads."""
    found = []
    for i in range(0, len(plays), _LANES):
        some = plays[i : i + _LANES]
        filled = some + [some[-1]] * (_LANES - len(some))
        fields = {
            name: jnp.asarray([numbers[name] for numbers, _ in filled], jnp.float32) for name in some[0][0]
        }
        rest = {name: jnp.full(_LANES, value, jnp.float32) for name, value in vars(Hyperparameters()).items()}
        count = len(some)
        done = go(probs, jnp.stack([key for _, key in filled]), Hyperparameters(**(rest | fields)))
        found.append(jax.tree.map(lambda x, n=count: np.asarray(x)[:n], done))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)
