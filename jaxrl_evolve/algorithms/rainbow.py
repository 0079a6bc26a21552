"""Rainbow and its data-efficient descendants by name: one learner, each name its settings, by environment.

The settings for Atari-100k are those of the papers and of the code published with them: SPR (Schwarzer et al. 2021, arXiv 2007.05929, table 3
and the authors' code); DER (van Hasselt et al. 2019), OTRainbow (Kielak 2019), DrQ (Yarats et al. 2021) and its version with the usual
epsilon (Agarwal et al. 2021), these four as configured in Dopamine's Atari-100k lab; SR-SPR (D'Oro et al. 2023) and BBF (Schwarzer et
al. 2023) as configured in BBF's code; the adaptive replay ratio (Ma et al. 2024) on SPR. What those count in environment steps is here a
fraction of the horizon (exploration) or a number of gradient steps (renewals of the target network, resets), the same at 100,000 steps. Those
for MinAtar differ in the network's size, in what suits boards of 10 x 10 cells, and in the returns' support; they are not tuned.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.settings.later import later

UNREAD = ("objective",)
"""What of a run's configuration agents that learn action values do not read."""


class Variant(NamedTuple):
    """An agent as what it sets.

    Attributes:
        summary: one line.
        config: static settings.
        network: of the network.
        hp: hyperparameters.
        rollout_length: environment steps between two updates.
    """

    summary: str
    config: Mapping[str, Any] = {}
    network: Mapping[str, Any] = {}
    hp: Mapping[str, Any] = {}
    rollout_length: int = 1

    def but(
        self,
        summary: str,
        config: Mapping[str, Any] | None = None,
        network: Mapping[str, Any] | None = None,
        hp: Mapping[str, Any] | None = None,
        rollout_length: int | None = None,
    ) -> Variant:
        """Another agent, by what differs."""
        merged = lambda old, new: {**old, **(new or {})}
        length = self.rollout_length if rollout_length is None else rollout_length
        return Variant(
            summary, merged(self.config, config), merged(self.network, network), merged(self.hp, hp), length
        )


_RAINBOW = Variant(
    "SPR's agent without model and augmentation: the baseline it is to be compared with",
    {
        "capacity": 100_000,
        "batch": 32,
        "gradient_steps": 2,
        "warm_up": 2_000,
        "longest": 10,
        "atoms": 51,
        "prioritised": True,
        "target_period": 1,
    },
    {
        "encoder": "atari",
        "hidden": (256,),
        "layout": "faithful",
        "renormalise": True,
        "dueling": True,
        "noisy": True,
    },
    {
        "learning_rate": 1e-4,
        "adam_eps": 1.5e-4,
        "steps": 10.0,
        "steps_start": 10.0,
        "epsilon_end": 0.0,
        "exploration": 0.0,
        "epsilon_evaluation": 0.001,
    },
)
_SPR = _RAINBOW.but(
    "self-predictive representations (Schwarzer et al. 2021)",
    {"predicted": 5, "shift": 4, "intensity": 0.05},
)
_SPR_JAX = _SPR.but(
    "SPR as in its author's later code: one hidden layer, padding",
    {"priority": "loss", "new_priority": "highest"},
    {"layout": "jax-port", "hidden": (512,)},
    {
        "max_grad_norm": float("inf"),
        "importance_start": 0.5,
        "importance_end": 0.5,
        "exploration": 0.02,
    },
)
_DER = _SPR_JAX.but(
    "data-efficient Rainbow (van Hasselt et al. 2019)",
    {
        "predicted": 0,
        "shift": 0,
        "intensity": 0.0,
        "gradient_steps": 1,
        "warm_up": 1_600,
        "target_period": 2_000,
    },
    {"renormalise": False},
    # Where weights have noise, Dopamine's agents never act at random by a rate, whatever their settings say.
    {"epsilon_start": 0.0, "exploration": 0.0},
)
_DRQ = _DER.but(
    "data-regularised Q (Yarats et al. 2021)",
    {
        "shift": 4,
        "intensity": 0.05,
        "atoms": 1,
        "prioritised": False,
        "target_period": 1,
    },
    {"noisy": False},
    {"epsilon_start": 1.0, "epsilon_end": 0.1, "epsilon_evaluation": 0.05, "exploration": 0.05},
)
_SR_SPR = _SPR_JAX.but(
    "SPR with resets, at a high replay ratio (D'Oro et al. 2023)",
    {"capacity": 200_000, "act_by_target": True, "gradient_steps": 8, "reset_every": 40_000},
    {"noisy": False},
    {"target_rate": 0.005},
)

VARIANTS: dict[str, Variant] = {
    "rainbow": _RAINBOW,
    "spr": _SPR,
    "spr-noaug": _SPR.but(
        "SPR without augmentation, with dropout and a slow target instead",
        {"shift": 0, "intensity": 0.0},
        {"dropout": 0.5},
        {"target_rate": 0.01},
    ),
    "spr-jax": _SPR_JAX,
    "spr-adaptive": _SPR.but(
        "SPR whose replay ratio rises once the share of active units has settled (Ma et al. 2024)",
        {"gradient_steps": 4, "gradient_steps_at_first": 1},
        rollout_length=2,
    ),
    "der": _DER,
    "otrainbow": _DER.but(
        "overtrained Rainbow (Kielak 2019)",
        # Dopamine's target network is renewed every 500 environment steps; here what counts are gradient steps.
        {"warm_up": 20_000, "gradient_steps": 8, "target_period": 4_000, "longest": 3, "double": False},
        {"noisy": False, "dueling": False},
        {
            "steps": 3.0,
            "steps_start": 3.0,
            "epsilon_start": 1.0,
            "epsilon_end": 0.01,
            "exploration": 0.5,
            "learning_rate": 6.25e-5,
        },
    ),
    "drq": _DRQ,
    "drq-eps": _DRQ.but(
        "DrQ with the usual epsilon (Agarwal et al. 2021)",
        hp={"epsilon_end": 0.01, "epsilon_evaluation": 0.001},
    ),
    "sr-spr": _SR_SPR,
    "bbf": _SR_SPR.but(
        "bigger, better, faster (Schwarzer et al. 2023)",
        {"gradient_steps": 2},
        {"encoder": "impala", "width": 4, "hidden": (2_048,)},
        {
            "weight_decay": 0.1,
            "kept": 0.5,
            "anneal": 10_000.0,
            "steps": 3.0,
            "gamma": 0.997,
            "gamma_start": 0.97,
        },
    ),
}


def _of_boards(variant: Variant) -> Variant:
    """For MinAtar: one convolution of 16, moved by at most one cell, of the same brightness, unclipped rewards."""
    config = {
        "store_bytes": True,
        "intensity": 0.0,
        "low": -10.0,
        "high": 60.0,
        "shift": min(variant.config.get("shift", 0), 1),
    }
    return variant.but(variant.summary, config, {"encoder": "minatar", "width": 1, "hidden": (128,)})


def _of_numbers(variant: Variant) -> Variant:
    """For observations that are no images. Agents that predict or change images stay as they are: the environment may show some."""
    if variant.config.get("predicted") or variant.config.get("shift"):
        return variant
    return variant.but(
        variant.summary,
        {"low": -100.0, "high": 100.0},
        {"encoder": "flat", "width": 1, "hidden": (128,), "dropout": 0.0, "renormalise": False},
    )


def _of_screens(variant: Variant) -> Variant:
    """For octax's 32 x 64 pixels, which the encoder of Atari reads only when they are padded."""
    return variant.but(variant.summary, {"intensity": 0.0}, {"layout": "jax-port"})


def _of_colours(variant: Variant) -> Variant:
    """For Craftax's pixels, which are float32: 100,000 of them take 1.2 GB as bytes, and four times as much as they are."""
    return variant.but(variant.summary, {"store_bytes": True})


def rainbow_preset(name: str, env: str) -> Preset:
    """The settings of an agent for an environment's name."""
    variant, env = VARIANTS[name], env.removeprefix("gymnax/")
    if fnmatch.fnmatchcase(env, "*-MinAtar"):
        variant = _of_boards(variant)
    elif env.startswith("octax/"):
        variant = _of_screens(variant)
    elif fnmatch.fnmatchcase(env, "craftax/*Pixels*"):
        variant = _of_colours(variant)
    elif not env.startswith("atari/"):
        variant = _of_numbers(variant)
    network = dataclasses.replace(ActionValuesConfig(), **variant.network)
    config = dataclasses.replace(RainbowConfig(), **{**variant.config, "network": network})
    return Preset(1, variant.rollout_length, "full", config, RainbowHyperparameters(**variant.hp))


def _algorithm(name: str, variant: Variant) -> Algorithm:
    preset: Callable[[str], Preset] = partial(rainbow_preset, name)
    return Algorithm(
        later("learners.rainbow", "rainbow"),
        RainbowConfig,
        RainbowHyperparameters,
        preset,
        variant.summary,
        UNREAD,
    )


RAINBOWS: dict[str, Algorithm] = {name: _algorithm(name, variant) for name, variant in VARIANTS.items()}
