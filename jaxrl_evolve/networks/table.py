"""The networks that a configuration can ask for by name, and how another package adds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.settings.foreign import Refused, called, told

if TYPE_CHECKING:
    from jaxrl_envs.spaces import Space
    from jaxrl_evolve.networks.network import MakeNetwork, Network


def make_network(
    config: NetworkConfig,
    observation_space: Space,
    action_space: Space,
    predictions: int = 0,
    make: MakeNetwork | None = None,
) -> Network:
    """The network that a configuration asks for.

    Args:
        config: static settings of the network.
        observation_space: of one observation.
        action_space: of one action.
        predictions: logits to predict of each observation besides its value.
        make: a factory of one's own, in the place of the one that ``config.kind`` names.

    Raises:
        ValueError: a setting is not allowed or no network is called so, it can't serve the spaces, or it does not
            give what a network must, such as the memory that is asked for.
    """
    check(config, "network")
    if make is None and config.kind in BUILTIN_NETWORKS:
        return BUILTIN_NETWORKS[config.kind](config, observation_space, action_space, predictions)
    chosen: MakeNetwork = make or plugins.find(plugins.NETWORKS, config.kind, BUILTIN_NETWORKS)
    from jaxrl_evolve.networks.check import check_network  # not above: names are listed without jax
    from jaxrl_evolve.networks.network import Network

    whose = "the network's factory" if make else f"the factory of network {config.kind!r}"
    arguments = (config, observation_space, action_space, predictions)
    network = called(whose, chosen, *arguments, saying=(ValueError,))
    if not isinstance(network, Network):
        raise Refused(f"{whose} gave {told(network)}; it must be a Network")
    check_network(network, observation_space, action_space, predictions)
    if config.memory != "none" and not network.recurrent:
        # Whoever asked for a memory would find it recorded, and none there.
        raise Refused(f"network.memory is {config.memory!r}, which {whose} does not read; it must be 'none'")
    return network


def network_names() -> list[str]:
    """The names that ``NetworkConfig.kind`` can have, sorted."""
    return plugins.names(plugins.NETWORKS, BUILTIN_NETWORKS)


def _actor_critic(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int
) -> Network:
    """A table in the place of a network is one of its encoders."""
    from jaxrl_evolve.networks.actor_critic import make_actor_critic
    from jaxrl_evolve.networks.tabular import make_table

    if config.decoder != DecoderConfig():
        # Whoever gave it a shape would find that recorded, and no decoder there.
        raise Refused(f"network.decoder is set, but network.kind is {config.kind!r}; it must be 'decoder'")
    if config.encoder == "tabular":
        return make_table(observation_space, action_space, predictions)
    return make_actor_critic(config, observation_space, action_space, predictions)


def _decoder(
    config: NetworkConfig, observation_space: Space, action_space: Space, predictions: int
) -> Network:
    from jaxrl_evolve.networks.decoder.network import make_decoder

    return make_decoder(config, observation_space, action_space, predictions)


BUILTIN_NETWORKS: dict[str, MakeNetwork] = {"actor-critic": _actor_critic, "decoder": _decoder}
