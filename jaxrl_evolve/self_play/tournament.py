"""Trained policies against each other: who is preferred to whom, and which mixture of them none of them beats."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.preferences.criteria import DEFAULT
from jaxrl_evolve.preferences.head_to_head import meet
from jaxrl_evolve.preferences.minimax import minimax_winner
from jaxrl_evolve.preferences.stored import read_summaries, write_summaries
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.self_play.players import (
    Player,
    criteria_of,
    find_player,
    horizon_of,
    judge_of,
    play,
    same_task,
    steps_of,
)
from jaxrl_evolve.self_play.tournament_config import TournamentConfig
from jaxrl_evolve.self_play.tournament_report import Matrix, draw, markdown, rows_csv, summary_of
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.host import open_host
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.start import place

EPISODES = "episodes"
"""The folder inside, with what each entry has played."""


def tournament(
    config: TournamentConfig,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Let all policies meet.

    Args:
        config: who, and how.
        out: folder to write: ``tournament.csv``, ``tournament.md``, ``tournament.png``, ``result.json``, and the episodes of each entry, which are not
            played again.
        resume: go on with what is in ``out``.
        overwrite: delete what is in ``out`` first.
        quiet: show no progress.

    Returns:
        The contents of ``result.json``.

    Raises:
        ValueError: a run is none, all are of different environments, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the episodes that were played are saved.
    """
    entries, dropped = _entries(config)
    criteria = criteria_of(entries[0].trained, config.criteria)
    oracle = judge_of(entries[0].trained, config.preference)
    horizon = max(horizon_of(player.trained) for player in entries)
    root = random.key(config.seed)
    with contextlib.ExitStack() as stack:
        host = open_host(stack, out, TOURNAMENT, folders.plain(config), resume=resume, overwrite=overwrite)
        title = f"tournament of {len(entries)} policies on {entries[0].trained.config.env}"
        host.show(stack, title, len(entries), "policies", quiet=quiet)
        played = []
        for i, player in enumerate(entries):
            played.append(_episodes(config, player, Path(out) / EPISODES, root, horizon, criteria))
            host.advanced(i + 1)
            if (signal := host.signal()) and i + 1 < len(entries):
                raise host.interrupted(signal)
        found = _all_pairs(
            config, [p.label for p in entries], oracle, jax.random.fold_in(root, len(entries)), played
        )
        winner = minimax_winner(2 * found.rate - 1)
        summary = summary_of(config, found, winner, oracle.name, dropped)
        summary["updates"] = [player.trained.updates for player in entries]
        _write(Path(out), found, summary)
        host.result(summary)
    return folders.plain(summary)


def _entries(config: TournamentConfig) -> tuple[list[Player], list[str]]:
    """Everybody who takes part, in the order of the runs, and the names of those who would but diverged."""
    found: list[Player] = []
    dropped: list[str] = []
    names = _told_apart([place(named)[0] for named in config.runs])
    for named in config.runs:
        folder, one = place(named)
        steps: list[int | None] = [*steps_of(folder)] if config.checkpoints else [None]
        for step in steps or [None]:
            trained = load(folder, step)
            runs = range(trained.diverged.size) if one is None else [trained.number(one)]
            for run in runs:
                at = f"@{trained.updates}" if config.checkpoints else ""
                label = f"{names[folder]}:{run}{at}"
                if one is None and trained.diverged[run] >= 0:
                    dropped.append(label)  # what is asked for by its number is refused
                    continue
                if any(player.label == label for player in found):
                    raise ValueError(
                        f"runs is {' '.join(config.runs)}, which has run {run} of {folder} twice"
                    )
                found.append(find_player(trained, run, config.policy, label))
    same_task([player.trained for player in found])
    if len(found) < 2:
        lost = f" ({', '.join(dropped)} diverged)" if dropped else ""
        raise ValueError(
            f"runs is {' '.join(config.runs)}, of which {len(found)} policies can play; at least 2 must{lost}"
        )
    return found, dropped


def _told_apart(folders_named: Sequence[str]) -> dict[str, str]:
    """Each folder's name, with as many of the folders above it as tell it apart from the others."""
    paths = {named: Path(named).resolve() for named in folders_named}
    return {named: _tail(path, {*paths.values()} - {path}) for named, path in paths.items()}


def _tail(path: Path, others: set[Path]) -> str:
    for i in reversed(range(len(path.parts))):
        tail = path.parts[i:]
        if all(other.parts[-len(tail) :] != tail for other in others):
            return str(Path(*tail))
    return str(path)


def _episodes(
    config: TournamentConfig, player: Player, folder: Path, root: Any, horizon: int, criteria: str
) -> Summary:
    """What an entry played before, or plays now: found again by who it is, since others may stand at its place when the tournament is resumed."""
    who = _fingerprint(player, config.policy, horizon, criteria)
    folder = folder / f"{player.label.replace('/', '-').replace(':', '-')}-{who[:16]}"
    key = jax.random.fold_in(root, int(who[:8], 16))
    there = sorted(folder.glob("summaries-*.npz"))
    if there:
        return read_summaries(there[0])
    phi = play(player, key, config.episodes, horizon, config.mode, criteria)
    folder.mkdir(parents=True, exist_ok=True)
    write_summaries(folder, phi)
    return phi


def _fingerprint(player: Player, policy: str, horizon: int, criteria: str) -> str:
    """SHA-256 of a run's name, its policy's numbers, how long it may play, and what is seen of that (unless it is what always was)."""
    said = [player.label, policy, player.trained.updates, horizon, *({criteria} - {DEFAULT})]
    digest = hashlib.sha256(json.dumps(said).encode())
    for leaf in jax.tree.leaves(player.actors):
        array = np.asarray(leaf)
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _all_pairs(
    config: TournamentConfig, labels: Sequence[str], oracle: Any, key: Any, played: Sequence[Summary]
) -> Matrix:
    """Each pair is asked about once, and mirrored."""
    number = len(played)
    rate, error = np.full((number, number), 0.5), np.zeros((number, number))
    queries = np.zeros((number, number), np.int64)
    go = jax.jit(lambda key, a, b: meet(oracle, key, a, b, soft=config.soft))
    for i in range(number):
        for j in range(i + 1, number):
            found = go(jax.random.fold_in(key, i * number + j), played[i], played[j])
            if not np.isfinite(float(found.rate)):
                raise ValueError(
                    f"{labels[i]} and {labels[j]} cannot be compared: nothing in the episodes of one of them is a finite number"
                )
            rate[i, j], rate[j, i] = float(found.rate), 1.0 - float(found.rate)
            error[i, j] = error[j, i] = float(found.error)
            queries[i, j] = queries[j, i] = int(found.queries)
    return Matrix(tuple(labels), rate, error, queries)


def _write(out: Path, found: Matrix, summary: Mapping[str, Any]) -> None:
    folders.write_text(out / "tournament.csv", rows_csv(found))
    folders.write_text(out / "tournament.md", markdown(summary, found))
    draw(out / "tournament.png", found)


def sentence(summary: Mapping[str, Any], out: str) -> str:
    """What came out, for whoever asked: the table."""
    text = (Path(out) / "tournament.md").read_text()
    return f"{text}\nresults in {out}, {summary['queries']:,} queries"


def _resume(out: str, step: int | None, quiet: bool) -> str:
    del step
    return sentence(tournament(folders.configuration(out, TOURNAMENT), out, resume=True, quiet=quiet), out)


TOURNAMENT = Kind(
    name="tournament",
    mark=kinds.RUN,
    read=TournamentConfig.from_json,
    resume=_resume,
    files=("tournament.csv", "tournament.md"),
    folders=EPISODES,
)
"""A tournament."""
