"""Self-prediction as a representation objective (SPR, Schwarzer et al. 2021, arXiv 2007.05929), of any network that offers features.

From the features of a step a model goes ``K`` steps ahead along the actions that were taken, and predicts at each the projection that the
true successor's features have. Targets are made once per update by a slow copy of the network, or by the network as it was then.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from jaxrl_envs.spaces import Space
from jaxrl_evolve.experience.augmentation import check_shift, random_shift
from jaxrl_evolve.networks.latent_model import LatentModel
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.objectives.representation import (
    MakeRepresentation,
    Representation,
    RepresentationBatch,
)
from jaxrl_evolve.objectives.self_prediction import self_prediction
from jaxrl_evolve.trajectory import Trajectory


def _cosine(
    found: Float[Array, "K B P"], came: Float[Array, "K B P"], counted: Bool[Array, "K B"]
) -> Float[Array, ""]:
    """The mean of those that are counted, of which there is one at least."""
    return 1.0 - self_prediction(found, came, counted).mean() / (2.0 * jnp.maximum(counted.mean(), 1e-6))


def _others(x: Shaped[Array, "K B ..."]) -> Shaped[Array, "K B ..."]:
    """The same of other windows, as many steps on."""
    return jnp.roll(x, max(1, x.shape[1] // 2), 1)


def self_predictive(predicted: int = 5, target_rate: float = 1.0, shift: int = 0) -> MakeRepresentation:
    """The factory of self-prediction, as `ppo` takes it.

    Args:
        predicted: steps ahead, ``K``.
        target_rate: what of the parameters goes into the slow copy at every update, see `Representation`.
        shift: pixels by which images are moved at random: at every gradient step those that are predicted from, once
            per update those that are predicted. Never in acting.
    """

    def make(network: Network, observation_space: Space, action_space: Space) -> Representation:
        latents = network.latents
        if latents is None:
            raise ValueError(
                f"predicted is {predicted}, but the network offers no features to predict: one with a memory, a table, or one "
                "of another package without `latents`; predicted must be 0"
            )
        if shift and len(observation_space.shape) != 3:
            raise ValueError(
                f"shift is {shift}, but observations have shape {observation_space.shape} and are no images; it must be 0"
            )
        check_shift(shift, observation_space.shape)

        def moved(key: Array, obs: Any) -> Any:
            return random_shift(key, obs, shift) if shift else obs

        def shapes(params: Any) -> tuple[Any, Any]:
            space = observation_space
            obs = jax.ShapeDtypeStruct((1, *space.shape), space.dtype)
            features = jax.eval_shape(latents.encode, params, obs)
            return features, jax.eval_shape(latents.project, params, features)

        def model(params: Any) -> LatentModel:
            features, projection = shapes(params)
            return LatentModel(features.shape[-1], projection.shape[-1], action_space)

        def init(key: Array, params: Any) -> Any:
            features, projection = shapes(params)
            action = jnp.zeros((1, *action_space.shape), action_space.dtype)
            zeros = [jnp.zeros(x.shape, x.dtype) for x in (features, projection)]
            return model(params).init(key, zeros[0], action, zeros[1])

        def targets(params: Any, own: Any, trajectory: Trajectory, key: Array) -> Float[Array, "T N P"]:
            del own
            batch = trajectory.reward.shape
            obs = trajectory.next_obs
            flat = moved(key, obs.reshape((math.prod(batch), *obs.shape[2:])))
            projection = latents.project(params, latents.encode(params, flat))
            return projection.reshape((*batch, -1))

        def loss(
            params: Any, own: Any, batch: RepresentationBatch, key: Array
        ) -> tuple[Float[Array, ""], dict[str, Array]]:
            net = model(params)
            ahead: Any = partial(net.apply, own, method=LatentModel.ahead)
            predict: Any = partial(net.apply, own, method=LatentModel.predict)
            features = latents.encode(params, moved(key, batch.window.obs[0]))
            steps = []
            for k in range(predicted):
                features = ahead(features, batch.window.action[k])
                steps.append(features)
            # All at once: one product for the steps' projections.
            found = predict(latents.project(params, jnp.concatenate(steps)))
            found = found.reshape(batch.targets.shape)
            missed = self_prediction(found, batch.targets, batch.belongs).mean()
            other = jax.tree.map(_others, (batch.targets, batch.belongs))
            chance = _cosine(found, other[0], batch.belongs & other[1])
            cosine = _cosine(found, batch.targets, batch.belongs)
            metrics = {"prediction_loss": missed, "prediction_cosine": cosine, "prediction_chance": chance}
            return missed, jax.lax.stop_gradient(metrics)

        return Representation(init, loss, "self-prediction", predicted, targets, target_rate)

    return make
