"""What a training run came to: its result, the summary in ``result.json``, and the figure of its curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.results import figures, statistics
from jaxrl_evolve.runs.evaluation import Episodes
from jaxrl_evolve.settings.rows import OF_EVALUATION, SCORING_STEPS
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.folder import RunFolder
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a training run came to.

    Attributes:
        config: what was asked for.
        summary: the contents of ``result.json``.
        states: training states, one per group of runs, leaves ``[runs of the group, ...]``.
        rows: the metrics, oldest first (of a resumed run, where another process writes its folder, of this part).
    """

    config: TrainConfig[Any, Any]
    summary: dict[str, Any]
    states: list[Any]
    rows: list[dict[str, Any]]

    @property
    def eval_return(self) -> list[float]:
        """Mean return of each run's final evaluation; NaN where the run diverged."""
        return [float("nan") if x is None else x for x in self.summary["eval_return"]]

    @property
    def iqm(self) -> float | None:
        """Interquartile mean over runs."""
        return self.summary["iqm"]

    @property
    def ci95(self) -> tuple[float | None, float | None]:
        """Bootstrap interval of `iqm`; of one or two runs there is none."""
        return tuple(self.summary["ci95"])


def summarise(
    config: TrainConfig[Any, Any],
    seen: Mapping[str, np.ndarray],
    diverged: np.ndarray,
    seconds: Mapping[str, float],
    points: Sequence[Any] | None = None,
    drawn: bool = False,
    scoring_steps: int = 0,
) -> dict[str, Any]:
    """The contents of ``result.json``.

    Args:
        config: what was asked for.
        seen: means over the episodes of each run's final evaluation, ``[runs, ...]``: ``return``, ``finished`` (those that
            ended by themselves; the return of one that was cut off after ``evaluation.max_steps`` is what it had
            collected by then), and what `Env.metrics` names.
        diverged: the update at which each run did, or -1, ``[runs]``.
        seconds: ``compile_seconds``, ``run_seconds`` (training alone) and ``eval_seconds``.
        points: hyperparameters of each point of a sweep; runs are ordered point by point.
        drawn: whether the evaluation drew its tasks, instead of playing the environment's one.
        scoring_steps: of a seed, those of a curriculum's scouts, which ``env_steps`` does not count.
    """
    lost = diverged >= 0
    means = {name: np.where(along(lost, x), np.nan, x) for name, x in seen.items() if name != "finished"}
    returns = means["return"]
    iqm = estimate_iqm(returns if points is None else returns[:0])
    steps, trained = config.env_steps * returns.size, seconds["run_seconds"]
    return {
        "algorithm": config.algorithm,
        "env": config.env,
        "env_options": dict(config.env_options),
        **({"curriculum": config.curriculum} if config.curriculum else {}),
        **({"tasks": "drawn"} if drawn else {}),
        **({"start": config.start, "start_sha256": config.start_sha256} if config.start else {}),
        "seeds": config.seeds,
        "env_steps": config.env_steps,
        **({SCORING_STEPS: scoring_steps} if scoring_steps else {}),
        "eval_return": returns,
        "eval_finished": seen["finished"],
        **{f"{OF_EVALUATION}{name}": x for name, x in means.items() if name != "return"},
        "iqm": iqm.value,
        "ci95": [iqm.low, iqm.high],
        **seconds,
        "steps_per_second": steps / trained if trained else None,
        "seed": config.seed,
        "diverged": diverged_steps(config, diverged),
        **({} if points is None else {"points": of_points(points, returns, config.seeds)}),
        **provenance(),
    }


def seen_of(episodes: Episodes) -> dict[str, Any]:
    """What an evaluation says of its episodes, by name, leaves as there: ``return``, ``finished``, and `Env.metrics`."""
    return {"return": episodes.returns, "finished": episodes.finished, **episodes.info}


def joined(parts: Sequence[Mapping[str, np.ndarray]], axis: int) -> dict[str, np.ndarray]:
    """Arrays of the same names end to end."""
    return {name: np.concatenate([part[name] for part in parts], axis) for name in parts[0]}


def along(runs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Flags ``[runs]`` in the shape of ``values [runs, ...]``."""
    return runs.reshape(runs.shape + (1,) * (values.ndim - 1))


def sentence(summary: Mapping[str, Any], out: str) -> str:
    """What a training run came to, for whoever started it.

    Args:
        summary: the contents of ``result.json``.
        out: the run folder.
    """
    low, high = summary["ci95"]
    interval = "" if low is None else f" [{low:.4g}, {high:.4g}]"
    iqm = "none finished" if summary["iqm"] is None else f"{summary['iqm']:.4g}{interval}"
    shares = summary.get("eval_finished", [1.0])  # which earlier versions did not record
    cut = 1.0 - sum(shares) / len(shares)
    over = f"{'IQM' if low is None else 'IQM and 95 % interval'} over {summary['seeds']} seeds"
    if few := statistics.caution(summary["seeds"]):
        over += f"; {few}"
    scored = summary.get(SCORING_STEPS, 0)
    scoring = f" and {scored:,} by which levels were only scored" if scored else ""
    note = f"; {cut:.0%} of the episodes were cut off at evaluation.max_steps" if cut > 0 else ""
    return (
        f"{summary['algorithm']} on {summary['env']}: return {iqm} ({over}), "
        f"{summary['env_steps']:,} steps per seed{scoring}{note}\n"
        f"{summary['steps_per_second']:,.0f} steps/s for all seeds together, {summary['run_seconds']:.1f} s after "
        f"{summary['compile_seconds']:.1f} s of compiling; results in {out}"
    )


def of_points(points: Sequence[Any], returns: np.ndarray, seeds: int) -> list[dict[str, Any]]:
    """Returns ``[runs]`` of a run with points, and their IQM, point by point: over ``seeds`` seeds each."""
    summaries = []
    for hp, of_point in zip(points, returns.reshape(-1, seeds), strict=True):
        iqm = estimate_iqm(of_point)
        summaries.append({"hp": hp, "eval_return": of_point, "iqm": iqm.value, "ci95": [iqm.low, iqm.high]})
    return summaries


def diverged_steps(config: TrainConfig[Any, Any], diverged: np.ndarray) -> dict[str, int]:
    """The environment steps after which runs diverged, by the number of the run.

    Args:
        config: what was asked for.
        diverged: the update at which each run did, or -1, ``[runs]``.
    """
    return {str(run): int(diverged[run]) * config.steps_per_update for run in np.flatnonzero(diverged >= 0)}


def estimate_iqm(returns: np.ndarray) -> statistics.Estimate:
    """The interquartile mean of runs; a diverged one counts as the worst of them, NaN where none is left."""
    if not np.isfinite(returns).any():
        return statistics.Estimate(float("nan"), float("nan"), float("nan"))
    return statistics.estimate(returns, statistics.iqm, non_finite="worst")


def draw_curves(config: TrainConfig[Any, Any], folder: RunFolder, points: Sequence[Any] | None) -> None:
    """Draw the learning curves, of the evaluations where there are several, else of training episodes."""
    rows = sinks.read_jsonl(folder.metrics)
    for name, label in (("eval_return", "Evaluation return"), ("episode_return", "Training return")):
        seen = [row for row in rows if any(x is not None for x in row.get(name, ()))]
        if len(seen) < (2 if name == "eval_return" else 1):
            continue
        steps = np.array([row[sinks.STEP] for row in seen])
        returns = np.array([row[name] for row in seen], np.float64).T
        labels = [f"point {i}" for i in range(len(points))] if points else [config.algorithm]
        curves = [
            figures.Curve(name, steps, of_point)
            for name, of_point in zip(labels, np.split(returns, len(labels)), strict=True)
        ]
        title = f"{config.algorithm} on {config.env}"
        figures.learning_curves(curves, folder.curves, title=title, ylabel=label, per_seed=len(curves) == 1)
        return
