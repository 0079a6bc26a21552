"""Agents for Disco's update rules (Oh et al. 2025)."""

from __future__ import annotations

from dataclasses import replace

from jaxrl_evolve.algorithms.algorithm import NETWORK_OF_ITS_OWN, Algorithm, Preset
from jaxrl_evolve.algorithms.ppo import ppo_preset
from jaxrl_evolve.learners.disco_config import DiscoAgentConfig, DiscoHyperparameters
from jaxrl_evolve.settings.later import later


def disco_preset(env: str) -> Preset:
    """Settings of agents that learn by a Disco rule: network, step size and rollouts of Oh et al. (2025)."""
    preset = ppo_preset(env)
    config = DiscoAgentConfig()
    network = replace(config.network, encoder=preset.config.network.encoder)
    return Preset(64, 29, preset.resets, replace(config, network=network), DiscoHyperparameters())


DISCO = Algorithm(
    later("learners.disco", "disco_agent"),
    DiscoAgentConfig,
    DiscoHyperparameters,
    disco_preset,
    "an agent for Disco's update rules (Oh et al. 2025)",
    unread=NETWORK_OF_ITS_OWN,
)
