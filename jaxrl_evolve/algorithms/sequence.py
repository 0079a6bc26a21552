"""Learners of whole completions by name: one machine (`learners.sequence`), each a setting of it."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
from jaxrl_evolve.learners.sequence_config import (
    PAIRS,
    POLICY_GRADIENTS,
    SequenceConfig,
    SequenceHyperparameters,
)
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.settings.later import later

METHODS: dict[str, tuple[str, dict[str, Any], dict[str, float]]] = {
    "imitation": (
        "supervised learning of what a teacher does, such as the solutions of tasks of tokens with the option taught",
        {"loss": "imitate", "completions": 2},
        {},
    ),
    "grpo": (
        "group relative policy optimisation: the clipped surrogate with returns against the group's (Shao et al. 2024)",
        {"loss": "clip", "advantage": "standard", "aggregate": "sequence"},
        {},
    ),
    "dr-grpo": (
        "GRPO without its two biases: no division by the deviation, none by the length (Liu et al. 2025)",
        {"loss": "clip", "advantage": "mean", "aggregate": "constant"},
        {},
    ),
    "rloo": (
        "REINFORCE with the mean of the others as baseline (Ahmadian et al. 2024)",
        {"loss": "reinforce", "advantage": "leave_one_out", "aggregate": "sum"},
        {},
    ),
    "nft": (
        "negative-aware fine-tuning: supervised on what is right and, implicitly, on what is wrong (Chen et al. 2025)",
        {"loss": "nft", "balance": "wrong"},
        {},
    ),
    "sppo": (
        "self-play preference optimisation of completions: log-ratios regress on win rates (Wu et al. 2024)",
        {"loss": "sppo", "worth": "preference", "epochs": 2},
        {},
    ),
    "rebel": (
        "differences of log-ratios regress on differences of returns (Gao et al. 2024)",
        {"loss": "sppo", "baseline": "pairwise", "epochs": 2},
        {},
    ),
    "dpo": (
        "direct preference optimisation on pairs of the policy's own completions (Rafailov et al. 2023; online: Guo et al. 2024)",
        {"loss": "dpo", "reference": "first"},
        {},
    ),
    "cdpo": (
        "conservative DPO: labels are taken to be wrong now and then, so margins stay finite (Mitchell 2023)",
        {"loss": "dpo", "reference": "first"},
        {"label_noise": 0.1},
    ),
    "ipo": (
        "identity preference optimisation on pairs of the policy's own completions (Azar et al. 2023; Calandriello et al. 2024)",
        {"loss": "ipo", "reference": "first"},
        {},
    ),
    "srpo": (
        "self-improving robust preference optimisation: one policy drafts and revises, on pairs of its own completions (Choi et al. 2024)",
        {"loss": "srpo", "reference": "first"},
        {},
    ),
    "nash-md": (
        "Nash-MD's policy gradient: win rates against a mixture of the policy and its reference (Munos et al. 2023)",
        {
            "loss": "reinforce",
            "worth": "preference",
            "advantage": "half",
            "aggregate": "sum",
            "reference": "first",
            "kl": "reward_to_go",
            "mixed": "half",
        },
        {"kl_coef": 0.05},
    ),
    "ipo-md": (
        "IPO on completions of a mixture of the policy and its reference (Calandriello et al. 2024)",
        {"loss": "ipo", "reference": "first", "mixed": "all"},
        {},
    ),
    "inpo": (
        "iterative Nash policy optimisation: IPO towards the reference and the policy that answered (Zhang et al. 2024)",
        {"loss": "ipo", "reference": "first"},
        {"mixture": 0.25},
    ),
    "mnpo": (
        "INPO among three players, who are the policies of now and before and the reference, with the oracle's probabilities (Wu et al. 2025)",
        {"loss": "ipo", "reference": "first", "past": "before", "soft": True},
        {"mixture": 0.25, "past_mixture": 0.375},
    ),
    "egpo": (
        "extragradient preference optimisation: a half step, and a whole one on what the policy answers there (Zhou et al. 2025)",
        {"loss": "ipo", "reference": "first", "past": "before", "extragradient": True},
        {"mixture": 0.25},
    ),
    "omwu": (
        "optimistic multiplicative weights: win rates against the policy before are taken off once (Rakhlin and Sridharan 2013)",
        {"loss": "ipo", "past": "before", "mixed": "past"},
        {},
    ),
    "nash-prox": (
        "mirror descent inside proximal points: log-ratios are also to the policy of every 20 updates (after Tiapkin et al. 2026)",
        {"loss": "ipo", "reference": "first", "past": "every"},
        {"mixture": 0.25, "past_mixture": 0.25},
    ),
}
"""By name: a line about it, its static settings and its hyperparameters, as far as they are not the defaults. None is tuned."""


LENGTHS = {"token/arc-1d": 128, "token/countdown": 57, "token/summary": 48, "token/zebra": 72}
"""Steps of a rollout that holds whole episodes of all difficulties (of ARC the easiest), where 32 are too few."""


def sequence_preset(method: str, env: str) -> Preset:
    """The settings that a method starts from: on tasks of tokens a decoder answers, elsewhere two layers of 64 units."""
    _, settings, hp = METHODS[method]
    length = LENGTHS.get(env, 32)
    network = NetworkConfig(hidden=(64, 64))
    if env.startswith("token/"):
        # Who revises reads the draft, and the prompt twice.
        context = 2 * length + 2 if method == "srpo" else length
        network = NetworkConfig(kind="decoder", decoder=DecoderConfig(context=context))
        hp = {"learning_rate": 1e-3, **hp}
    config = SequenceConfig(network=network, **settings)
    resets = "full:1:8" if env.startswith("token/") else "full"
    # Rollouts of imitation go on where the last one stopped, and one of twice an episode holds a whole one.
    length = 2 * length if method == "imitation" else length
    return Preset(64, length, resets, config, dataclasses.replace(SequenceHyperparameters(), **hp))


PAST = ("learner.past", "learner.past_every", "hp.past_mixture")
READ_BY = {
    "clip": ("learner.advantage", "learner.aggregate", "learner.axes", "hp.clip"),
    "reinforce": ("learner.advantage", "learner.aggregate", "learner.axes"),
    "nft": ("learner.balance",),
    "sppo": ("learner.baseline", "learner.eta_schedule", "hp.eta", "hp.eta_end", *PAST),
    "dpo": ("hp.beta", "hp.label_noise", *PAST),
    "ipo": ("hp.beta", "learner.extragradient", *PAST),
    "srpo": ("hp.beta", "hp.draft_weight"),
    "imitate": (),
}
"""What each loss reads that not all do."""


def _unread(loss: str) -> tuple[str, ...]:
    """What a method with this loss never reads; which loss that is, its name says."""
    own = {name for names in READ_BY.values() for name in names} - set(READ_BY[loss])
    who = ("learner.worth", "learner.preference", "learner.soft", "learner.check_oracle")
    others = who if loss in ("nft", "imitate") else who[:1] if loss in PAIRS else ()
    ratios = ("hp.mixture", "learner.logp_reduction")  # to what, and over which tokens
    mixture = {
        "srpo": ("hp.mixture",),
        "imitate": ("learner.mixed",),
        "nft": ("hp.mixture",),
        **dict.fromkeys(POLICY_GRADIENTS, ratios),
    }.get(loss, ())
    return ("objective", "learner.loss", *sorted(own), *mixture, *others)


SEQUENCES = {
    name: Algorithm(
        later("learners.sequence", "sequence"),
        SequenceConfig,
        SequenceHyperparameters,
        partial(sequence_preset, name),
        summary,
        _unread(settings["loss"]),
    )
    for name, (summary, settings, _) in METHODS.items()
}
