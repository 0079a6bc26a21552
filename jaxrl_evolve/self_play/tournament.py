"""Trained policies against each other: who is preferred to whom, and which mixture of them none of them beats."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.preferences.head_to_head import interval, meet
from jaxrl_evolve.preferences.minimax import Winner, minimax_winner
from jaxrl_evolve.preferences.stored import read_summaries, write_summaries
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.results.panels import panels_figure
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.self_play.players import (
    Player,
    find_player,
    horizon_of,
    judge_of,
    play,
    same_task,
    steps_of,
)
from jaxrl_evolve.self_play.tournament_config import TournamentConfig
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.host import open_host
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.start import place

COLUMNS = ("entry", "other", "win_rate", "low", "high", "queries")
EPISODES = "episodes"
"""The folder inside, with what each entry has played."""


class Matrix(NamedTuple):
    """Who is preferred to whom.

    Attributes:
        labels: of the entries.
        rate: float64 ``[k, k]``, the row's win rate against the column; 1/2 on the diagonal, and mirrored exactly.
        error: its standard errors.
        queries: int ``[k, k]``, what the meeting took.
    """

    labels: tuple[str, ...]
    rate: np.ndarray
    error: np.ndarray
    queries: np.ndarray


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
    entries = _entries(config)
    oracle = judge_of(entries[0].trained, config.preference)
    horizon = max(horizon_of(player.trained) for player in entries)
    root = random.key(config.seed)
    with contextlib.ExitStack() as stack:
        host = open_host(stack, out, TOURNAMENT, folders.plain(config), resume=resume, overwrite=overwrite)
        title = f"tournament of {len(entries)} policies on {entries[0].trained.config.env}"
        host.show(stack, title, len(entries), "policies", quiet=quiet)
        played = []
        for i, player in enumerate(entries):
            played.append(_episodes(config, player, Path(out) / EPISODES, root, horizon))
            host.advanced(i + 1)
            if (signal := host.signal()) and i + 1 < len(entries):
                raise host.interrupted(signal)
        found = _all_pairs(
            config, [p.label for p in entries], oracle, jax.random.fold_in(root, len(entries)), played
        )
        winner = minimax_winner(2 * found.rate - 1)
        summary = _summary(config, found, winner, oracle.name)
        summary["updates"] = [player.trained.updates for player in entries]
        _write(Path(out), found, summary)
        host.result(summary)
    return folders.plain(summary)


def _entries(config: TournamentConfig) -> list[Player]:
    """Everybody who takes part, in the order of the runs."""
    found: list[Player] = []
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
                    continue  # what is asked for by its number is refused
                if any(player.label == label for player in found):
                    raise ValueError(
                        f"runs is {' '.join(config.runs)}, which has run {run} of {folder} twice"
                    )
                found.append(find_player(trained, run, config.policy, label))
    same_task([player.trained for player in found])
    if len(found) < 2:
        raise ValueError(
            f"runs is {' '.join(config.runs)}, of which {len(found)} policies can play; at least 2 must"
        )
    return found


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


def _episodes(config: TournamentConfig, player: Player, folder: Path, root: Any, horizon: int) -> Summary:
    """What an entry played before, or plays now: found again by who it is, since others may stand at its place when the tournament is resumed."""
    who = _fingerprint(player, config.policy, horizon)
    folder = folder / f"{player.label.replace('/', '-').replace(':', '-')}-{who[:16]}"
    key = jax.random.fold_in(root, int(who[:8], 16))
    there = sorted(folder.glob("summaries-*.npz"))
    if there:
        return read_summaries(there[0])
    phi = play(player, key, config.episodes, horizon, config.mode)
    folder.mkdir(parents=True, exist_ok=True)
    write_summaries(folder, phi)
    return phi


def _fingerprint(player: Player, policy: str, horizon: int) -> str:
    """SHA-256 of a run's name, its policy's numbers, and how long it may play."""
    said = [player.label, policy, player.trained.updates, horizon]
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


def _summary(config: TournamentConfig, found: Matrix, winner: Winner, judge: str) -> dict[str, Any]:
    uniform = np.full(len(found.labels), 1 / len(found.labels))
    return {
        "entries": list(found.labels),
        "preference": judge,
        "episodes": config.episodes,
        "queries": int(np.triu(found.queries).sum()),
        "win_rate": found.rate,
        "minimax_winner": winner.policy,
        "unique": winner.unique,
        "vertices": winner.vertices,
        # In advantage units: by how much the best entry is preferred to the mixture, or to each.
        "exploitability": winner.exploitability,
        "exploitability_uniform": float(((2 * found.rate - 1) @ uniform).max()),
        "exploitability_each": (2 * found.rate - 1).max(0),
        **provenance(),
    }


def rows_csv(found: Matrix) -> str:
    """One line for each ordered pair."""
    lines = []
    for i, entry in enumerate(found.labels):
        for j, other in enumerate(found.labels):
            rate = float(found.rate[i, j])
            bounds = interval(rate, float(found.error[i, j]))
            lines.append([entry, other, rate, *bounds, int(found.queries[i, j])])
    return csv_text(COLUMNS, lines)


def markdown(summary: Mapping[str, Any], found: Matrix) -> str:
    """The table for readers, the strongest first."""
    mean = (found.rate.sum(1) - 0.5) / max(len(found.labels) - 1, 1)  # nobody is compared with itself
    order = np.argsort(-mean, kind="stable")
    share, worst = np.asarray(summary["minimax_winner"]), np.asarray(summary["exploitability_each"])
    lines = [
        [found.labels[i], f"{mean[i]:.3f}", f"{share[i]:.3f}", f"{worst[i]:+.3f}", *(f"{found.rate[i, j]:.3f}" for j in order)]
        for i in order
    ]  # fmt: skip
    unique = (
        "" if summary["unique"] else " It is not the only one: `result.json` has the corners that were found."
    )
    head = ["", "Mean", "Share in the winner", "Beaten by, advantage", *(found.labels[i] for i in order)]
    return "\n\n".join(
        [
            "# Tournament",
            f"Win rates of rows against columns by {summary['preference']}, {summary['episodes']} episodes each, all pairs, {summary['queries']:,} queries; means are against the others. No entry beats the "
            f"Minimax Winner of this matrix, a mixture of entries (exploitability {summary['exploitability']:.1e}; of the uniform mixture "
            f"{summary['exploitability_uniform']:.3f}).{unique}",
            markdown_table(head, lines),
            "![Win rates](tournament.png)",
        ]
    ) + "\n"  # fmt: skip


def _draw(path: Path, found: Matrix) -> None:
    number = len(found.labels)
    size = 1.6 + 0.32 * number
    with panels_figure(path, 1, size + 1.2, size) as (figure, (axis,)):
        image = axis.imshow(found.rate, cmap="RdBu", vmin=0, vmax=1)
        axis.set_xticks(range(number), found.labels, rotation=90)
        axis.set_yticks(range(number), found.labels)
        axis.grid(visible=False)
        if number <= 12:
            for i in range(number):
                for j in range(number):
                    dark = abs(found.rate[i, j] - 0.5) > 0.3
                    text = f"{found.rate[i, j]:.2f}"
                    axis.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
        figure.colorbar(image, ax=axis, label="Win rate of the row against the column")


def _write(out: Path, found: Matrix, summary: Mapping[str, Any]) -> None:
    folders.write_text(out / "tournament.csv", rows_csv(found))
    folders.write_text(out / "tournament.md", markdown(summary, found))
    _draw(out / "tournament.png", found)


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
