"""The networks that a configuration can ask for, and how another package adds one."""

from __future__ import annotations

from jaxrl_envs.spaces import Space
from jaxrl_evolve.networks.actor_critic import make_actor_critic
from jaxrl_evolve.networks.network import Network, NetworkConfig
from jaxrl_evolve.networks.tabular import make_table
from jaxrl_evolve.settings.checks import check


def make_network(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int = 0
) -> Network:
    """The network that a configuration asks for.

    Args:
        config: static shape of the network.
        observation_space: of one observation.
        action_space: of one action.
        predictions: logits to predict of each observation besides its value.

    Raises:
        ValueError: a setting is not allowed, or the network can't serve the spaces.
    """
    check(config, "network")
    if config.encoder == "tabular":
        return make_table(observation_space, action_space, predictions)
    return make_actor_critic(config, observation_space, action_space, predictions)
