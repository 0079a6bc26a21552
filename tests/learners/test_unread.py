"""What algorithms say that they do not read, they do not read."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import walk
from jax.interpreters import partial_eval

from jaxrl_envs.vector import vectorize
from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS
from jaxrl_evolve.runs.chunk import make_update
from jaxrl_evolve.training.experiment import build, traced


def hyperparameters_read(**settings: Any) -> set[str]:
    """Names of those that anything in one update depends on."""
    config = walk.config(learner={"network": {"hidden": (2,)}}, **settings)
    experiment, hp = build(config), traced(config.hp)
    learner, env = experiment.learner, experiment.env
    state = jax.eval_shape(experiment.chunk.init, jax.random.key(0), hp, env.params)
    eta = jax.eval_shape(learner.init_objective, jax.random.key(0))
    one_update = make_update(learner, vectorize(env, config.num_envs), config.rollout_length)
    update = lambda hp, state, eta: one_update(state, hp, eta, env.params, jnp.float32(2))
    jaxpr = jax.make_jaxpr(update)(hp, state, eta).jaxpr
    used = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[1]
    return {name for name, reads in zip(vars(hp), used, strict=False) if reads}


def test_hyperparameters_that_are_no_options_are_not_read():
    unread = {name.removeprefix("hp.") for name in BUILTIN_ALGORITHMS["lpg"].unread}
    read = hyperparameters_read(algorithm="lpg", objective="ta-lpg")
    assert not read & unread and {"learning_rate", "prediction_coef", "max_grad_norm"} <= read
    # The same question, where the answer is another.
    assert {"gae_lambda", "clip", "value_coef"} <= hyperparameters_read(algorithm="ppo")
