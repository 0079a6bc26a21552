"""What PPO refuses before anything compiles, and settings that no optimiser takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jaxrl_envs import Box, Discrete, make
from jaxrl_evolve.learners.disco_config import DiscoHyperparameters
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.learners.rainbow_config import RainbowHyperparameters
from jaxrl_evolve.learners.sac_config import SACHyperparameters
from jaxrl_evolve.learners.sequence_config import SequenceHyperparameters
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.settings.checks import check

ENV = make("CartPole-v1")
NORMALISED = PPOConfig(minibatches=1, normalise_observations=True)


def seeing(space: Any) -> Any:
    return dataclasses.replace(ENV, observation_space=space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Discrete(7), "observations are numbers of 7 states, which are no quantities: it must be False"),
        (Box(0, 255, (4, 4, 1), "uint8"), "observations are bytes, which the network scales by their bounds"),
    ],
)
def test_what_the_network_reads_by_its_space_is_not_normalised(space, message):
    with pytest.raises(ValueError, match=f"^normalise_observations is True, but {message}"):
        ppo(seeing(space), 2, 8, NORMALISED)
    ppo(seeing(space), 2, 8, PPOConfig(minibatches=1))


def test_binary_images_and_networks_of_ones_own_may_be_normalised():
    ppo(seeing(Box(0, 1, (4, 4, 1), "uint8")), 2, 8, NORMALISED)
    own = lambda config, *told: make_network(config, *told)
    ppo(seeing(Box(0, 255, (4, 4, 1), "uint8")), 2, 8, NORMALISED, network=own)


def test_a_minibatch_of_one_sample_is_refused_where_its_advantage_would_be_normalised():
    with pytest.raises(
        ValueError, match="minibatches is 16, as many as there are samples: a minibatch holds one sample"
    ):
        ppo(ENV, 2, 8, PPOConfig(minibatches=16))
    ppo(ENV, 2, 8, PPOConfig(minibatches=16, normalise_advantage=False))


@pytest.mark.parametrize(
    "numbers",
    [
        PPOHyperparameters,
        SequenceHyperparameters,
        SACHyperparameters,
        DiscoHyperparameters,
        RainbowHyperparameters,
    ],
)
def test_an_offset_of_nothing_would_divide_nothing_by_nothing(numbers):
    with pytest.raises(ValueError, match="hp.adam_eps is 0.0; it must be a .*above 0"):
        check(numbers(adam_eps=0.0), "hp")
