"""Every destination of a run's rows: the files that are always written, and trackers where they are asked for."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from jaxrl_evolve.storage.folder import RunFolder, plain, write_text
from jaxrl_evolve.storage.overwritten import has_written
from jaxrl_evolve.storage.sinks import STEP, Sink, SinkError, aggregate, jsonl, per_seed, table, together


def open_all(
    folder: RunFolder,
    chosen: Any,
    name: str,
    config: Mapping[str, Any],
    resume_at: int | None,
    rows: Sequence[Mapping[str, Any]] = (),
) -> Sink:
    """Every sink of a run. With the first row that all have, what the run overwrites is gone.

    Args:
        folder: the run folder.
        chosen: a `jaxrl_evolve.training.config.SinkConfig`.
        name: the run's name in W&B.
        config: shown with it.
        resume_at: keep the rows of an earlier run up to this step; None starts anew.
        rows: these rows, as ``metrics.jsonl`` has them.

    Raises:
        SinkError: one cannot be opened; those opened before it are closed.
    """
    opened: list[Sink] = []
    with contextlib.ExitStack() as on_failure:

        def add(sink: Sink) -> None:
            on_failure.callback(sink.close)
            opened.append(sink)

        add(jsonl(folder.metrics, resume_at))
        add(table(folder.table, rows))
        if chosen.tensorboard:
            add(tensorboard(folder.path / "tensorboard", chosen.per_seed, resume_at))
        if chosen.wandb != "off":
            offline = chosen.wandb == "offline"
            add(wandb(folder.path / "wandb", chosen.wandb_project, name, config, chosen.per_seed, offline))
        add(Sink(lambda row, step: has_written(), lambda: None))
        on_failure.pop_all()
    return together(*opened)


def check_trackers(chosen: Any) -> None:
    """Refuse trackers that are not installed, before a run has cost anything. Only the first process writes to them.

    Args:
        chosen: a `jaxrl_evolve.training.config.SinkConfig`.

    Raises:
        SinkError: naming the package.
    """
    if jax.process_index() == 0:
        if chosen.tensorboard:
            _tensorboardx()
        if chosen.wandb != "off":
            _wandb()


def _tensorboardx() -> ModuleType:
    try:
        import tensorboardX
    except ImportError:
        raise SinkError(
            "TensorBoard was asked for, but tensorboardX is not installed: pip install tensorboardX"
        ) from None
    return tensorboardX


def _wandb() -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError:
        hint = 'pip install "jaxrl-evolve[wandb]"'
        raise SinkError(f"W&B was asked for, but wandb is not installed: {hint}") from None
    return wandb


def tensorboard(folder: str | os.PathLike[str], seeds: bool = False, resume_at: int | None = None) -> Sink:
    """TensorBoard events, by step.

    Args:
        folder: the event files' folder.
        seeds: every seed by itself (`per_seed`) instead of the `aggregate`.
        resume_at: hide what an earlier run wrote after this step; None hides all of it.

    Raises:
        SinkError: tensorboardX is not installed.
    """
    events = os.fspath(folder)
    # Who starts anew where an earlier run had no checkpoint yet finds its events, and hides them all.
    begin = (0 if any(Path(folder).glob("*")) else None) if resume_at is None else resume_at + 1
    writer = _tensorboardx().SummaryWriter(events, purge_step=begin)
    flatten = per_seed if seeds else aggregate

    def write(row: Mapping[str, Any], step: int) -> None:
        for name, value in _numbers(flatten(row)):
            writer.add_scalar(name, value, step)
        writer.flush()

    return Sink(write, writer.close)


def wandb(
    folder: str | os.PathLike[str],
    project: str = "jaxrl_evolve",
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    seeds: bool = False,
    offline: bool = False,
) -> Sink:
    """A Weights & Biases run. Its id is kept beside its files, so a resumed run continues the same one.

    Args:
        folder: the run folder; W&B's local files go into ``wandb`` below it.
        project: the W&B project.
        name: the run's name there.
        config: shown with the run.
        seeds: every seed by itself (`per_seed`) instead of the `aggregate`.
        offline: only local files; ``wandb sync`` uploads them later.

    Raises:
        SinkError: wandb is not installed, or refuses to start.
    """
    client = _wandb()
    identity = Path(folder) / "wandb" / "run_id"
    identity.parent.mkdir(parents=True, exist_ok=True)
    if not identity.exists():
        write_text(identity, secrets.token_hex(4))
    try:
        run = client.init(
            project=project,
            name=name,
            id=identity.read_text().strip(),
            dir=os.fspath(folder),
            config=plain(config or {}),
            mode="offline" if offline else "online",
            resume="allow",
        )
    except Exception as error:
        raise SinkError(f"W&B could not be started: {str(error).partition(chr(10))[0]}") from error
    flatten = per_seed if seeds else aggregate

    def write(row: Mapping[str, Any], step: int) -> None:
        run.log(dict(_numbers(flatten({**row, STEP: int(step)}))), step=step)

    return Sink(write, run.finish)


def _numbers(flat: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in flat.items() if isinstance(value, (int, float)))
