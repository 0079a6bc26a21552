"""The figures of a meta-test: scores over horizons, schedules over lifetimes, drifts at several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.meta_test.arms import Arm
from jaxrl_evolve.meta_test.comparison import ALL, Comparison
from jaxrl_evolve.meta_test.outcome import Outcome
from jaxrl_evolve.objectives.drift.config import LPOConfig
from jaxrl_evolve.objectives.drift.lpo import lpo_drift
from jaxrl_evolve.results.panels import add_legend, label_bottom, panels_figure, styles_of

_NAMES = {
    "policy_target": "|pi_hat|",
    "drift": "drift",
    "approx_kl": "approximate KL",
    "episode_return": "episode return",
    "update_norm": "update norm",
    "entropy": "entropy",
}
_FIRST = ("policy_target", "drift", "approx_kl", "episode_return")  # the first that an arm has
_SHOWN_HORIZONS = 4
_SHOWN_TIMES = (0.0, 0.5, 1.0)


def draw_scores(path: Path, comparison: Comparison) -> None:
    """IQM over horizons with bands, one panel per environment."""
    envs = list(dict.fromkeys(row.env for row in comparison.rows if row.env != ALL))
    styles = styles_of([row.label for row in comparison.rows])
    with panels_figure(path, len(envs), 5.2, 3.8) as (figure, axes):
        for axis, env in zip(axes, envs, strict=True):
            for label, style in styles.items():
                rows = [r for r in comparison.rows if (r.env, r.label) == (env, label) and r.horizon != ALL]
                x = [row.horizon for row in rows]
                value, low, high = np.array([row.score for row in rows]).T
                axis.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)
                axis.plot(x, value, linewidth=1.6, marker="o", markersize=3, label=label, **style)
            axis.set_xscale("log")
            ticks = sorted({row.horizon for row in comparison.rows if row.horizon != ALL})
            axis.set_xticks(ticks, [f"{n:,}" for n in ticks])
            axis.minorticks_off()
            axis.set_title(env)
            axis.set_ylabel(comparison.measures[env])
        label_bottom(axes, "Horizon (updates)")
        figure.suptitle("Finished agents: IQM, 95 % interval", fontsize=11)
        add_legend(figure, axes)


def draw_schedules(
    path: Path, arms: Sequence[Arm], env: str, outcomes: Mapping[tuple[str, str], Outcome]
) -> None:
    """What an update does over a lifetime, for several horizons: a row per arm, a column per quantity."""
    shown = [arm for arm in arms if arm.learns and not arm.parent]
    if not shown:
        return
    quantities = []
    for arm in shown:
        there = outcomes[env, arm.label].schedules
        first = next(name for name in _FIRST if name in there)
        quantities += [(arm.label, name) for name in (first, "update_norm", "entropy")]
    horizons = outcomes[env, shown[0].label].horizons
    picked = np.unique(np.linspace(0, len(horizons) - 1, min(_SHOWN_HORIZONS, len(horizons))).round()).astype(
        int
    )
    styles = styles_of([f"N = {horizons[h]:,}" for h in picked])
    with panels_figure(path, len(quantities), 3.4, 2.2) as (figure, axes):
        for axis, (label, name) in zip(axes, quantities, strict=True):
            values = np.asarray(outcomes[env, label].schedules[name], np.float64)
            bins = values.shape[-1]
            for h, style in zip(picked, styles.items(), strict=True):
                own = values[:, :, h].reshape(-1, bins)
                there = np.isfinite(own).any(0)
                x = (np.arange(bins) + 0.5)[there] / bins
                axis.plot(x, np.nanmean(own[:, there], axis=0), label=style[0], linewidth=1.5, **style[1])
            axis.set_title(f"{label}: {_NAMES[name]}")
        label_bottom(axes, "n / N")
        figure.suptitle(f"Schedules on {env} (means over meta-seeds and agent seeds)", fontsize=11)
        add_legend(figure, axes)


def drift_surface(
    arm: Arm, fraction: float, horizon: float, log_ratio: np.ndarray, advantage: np.ndarray, clip: float = 0.2
) -> np.ndarray:
    """A drift ``D(r, A)``, mean over meta-seeds, float32 in the shape of ``log_ratio`` and ``advantage``.

    Args:
        arm: of an LPO objective.
        fraction: how much of the lifetime is over.
        horizon: the lifetime, in the clock's unit.
        log_ratio: logarithms of the ratio.
        advantage: likewise.
        clip: PPO's range of the ratio.
    """
    settings: Any = arm.settings
    assert isinstance(settings, LPOConfig)
    drift = lpo_drift(settings)
    unit = arm.horizons.unit if arm.horizons is not None else "env_steps"
    time = settings.time.features(Clock.at(fraction * horizon, horizon, unit=unit))
    of = lambda eta: drift(eta, jnp.asarray(log_ratio), jnp.asarray(advantage), jnp.float32(clip), time)
    return np.asarray(jax.vmap(of)(arm.eta).mean(0))


def draw_drifts(path: Path, arms: Sequence[Arm]) -> None:
    """Drift surfaces of every LPO objective at the start, in the middle and at the end of a lifetime."""
    shown = [arm for arm in arms if arm.kind == "lpo" and not arm.parent]
    if not shown:
        return
    ratio, advantage = np.meshgrid(
        np.linspace(0.5, 1.5, 81, dtype=np.float32), np.linspace(-2.0, 2.0, 81, dtype=np.float32)
    )
    with panels_figure(path, len(_SHOWN_TIMES) * len(shown), 3.4, 2.7) as (figure, axes):
        panels = [(arm, fraction) for arm in shown for fraction in _SHOWN_TIMES]
        for axis, (arm, fraction) in zip(axes, panels, strict=True):
            known = arm.horizons
            horizon = (known.least * known.most) ** 0.5 if known is not None else 1e6
            surface = drift_surface(arm, fraction, horizon, np.log(ratio), advantage)
            drawn = axis.contourf(ratio, advantage, surface, levels=12, cmap="viridis")
            figure.colorbar(drawn, ax=axis)
            axis.set_title(f"{arm.label}, n / N = {fraction:g}")
            axis.set_ylabel("advantage A")
        label_bottom(axes, "ratio r")
        figure.suptitle("Drift D(r, A), mean over meta-seeds", fontsize=11)
