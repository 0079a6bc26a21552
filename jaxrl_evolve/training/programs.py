"""The compiled programs of a group of runs, each traced and compiled exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxrl_evolve import random
from jaxrl_evolve.runs.axes import RunAxis, over_runs, place
from jaxrl_evolve.runs.chunk import TrainState
from jaxrl_evolve.runs.evaluation import Episodes
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import Experiment

AXIS = "run"
"""Name of the one axis of runs, and of the mesh axis it may be split over."""


class Programs(NamedTuple):
    """Compiled functions of ``R`` runs side by side.

    Attributes:
        init: ``(seeds [R], hp) -> TrainState``, leaves ``[R, ...]``.
        advance: ``(state, hp, updates) -> (state, metrics [R])``; donates ``state``.
        evaluate: ``(learner state, seeds, updates made, repeat) -> Episodes``, leaves ``[R, E]``.
        compile_seconds: what compiling them took.
    """

    init: Callable[[np.ndarray, Any], TrainState]
    advance: Callable[[TrainState, Any, int], tuple[TrainState, dict[str, jax.Array]]]
    evaluate: Callable[[Any, np.ndarray, int, int], Episodes]
    compile_seconds: float


def compile_programs(
    experiment: Experiment,
    hp: Any,
    runs: int,
    horizon: int,
    evaluation: EvaluationConfig,
    root_seed: int,
    mesh: Mesh | None = None,
) -> Programs:
    """Compile everything that a group of ``runs`` runs needs.

    Args:
        experiment: what runs.
        hp: hyperparameters of the shapes to come; leaves are scalars, or ``[runs]`` where every run has its
            own.
        runs: size of the group ``R``.
        horizon: updates in a whole run.
        evaluation: how to evaluate.
        root_seed: root of all randomness. A run's own number is folded in, so it does not matter with how
            many others it runs.
        mesh: one-axis mesh (named `AXIS`) to split the runs over, or None.
    """
    env, learner, one_run = experiment.env, experiment.learner, experiment.chunk
    own_hp = any(jnp.ndim(x) for x in jax.tree.leaves(hp))
    on_one = runs // (1 if mesh is None else mesh.size)
    lanes = sequential_lanes(one_run.steps_per_update) if jax.default_backend() == "cpu" else on_one
    # A vmap over a single run would only turn its products into slower, batched ones.
    axis = RunAxis(AXIS, runs, hp=own_hp, lanes=lanes if lanes < on_one else 1 if on_one == 1 else 0)
    chunk = over_runs(one_run, [axis], mesh)
    test = experiment.evaluation(evaluation.episodes, evaluation.max_steps, evaluation.mode)
    root = random.key(root_seed)

    def run_keys(seeds: jax.Array) -> jax.Array:
        return jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds)

    def init(seeds: jax.Array, hp: Any, env_params: Any) -> TrainState:
        return chunk.init(run_keys(seeds), hp, env_params)

    def evaluate(
        learner_state: Any, seeds: jax.Array, updates: jax.Array, repeat: jax.Array, env_params: Any
    ) -> Episodes:
        key = lambda k: jax.random.fold_in(
            jax.random.fold_in(jax.random.fold_in(k, random.KeyTag.EVALUATION), updates), repeat
        )
        keys = jax.vmap(key)(run_keys(seeds))
        return jax.vmap(test, (0, 0, None))(keys, learner_state, env_params)

    def put(x: Any, along_runs: bool) -> Any:
        """Arguments where the compiled programs expect them."""
        if mesh is None:
            return jax.tree.map(jnp.asarray, x)
        return place(x, mesh, *((AXIS,) if along_runs else ()))

    env_params, eta = put((env.params, learner.init_objective(jax.random.fold_in(root, 1))), False)
    hp = put(hp, own_hp)
    total = put(np.float32(horizon), False)
    one = put(np.int32(1), False)
    seeds = put(np.zeros(runs, np.uint32), True)

    began = time.perf_counter()
    compiled_init = jax.jit(init).lower(seeds, hp, env_params).compile()
    state = compiled_init(seeds, hp, env_params)
    compiled_run = (
        jax.jit(chunk.run, donate_argnums=0).lower(state, hp, eta, env_params, total, one).compile()
    )
    compiled_test = jax.jit(evaluate).lower(state.learner, seeds, one, one, env_params).compile()
    compile_seconds = time.perf_counter() - began

    return Programs(
        init=lambda seeds, hp: compiled_init(put(seeds.astype(np.uint32), True), put(hp, own_hp), env_params),
        advance=lambda state, hp, updates: compiled_run(
            state, put(hp, own_hp), eta, env_params, total, put(np.int32(updates), False)
        ),
        evaluate=lambda learner_state, seeds, updates, repeat: compiled_test(
            learner_state,
            put(seeds.astype(np.uint32), True),
            put(np.int32(updates), False),
            put(np.int32(repeat), False),
            env_params,
        ),
        compile_seconds=compile_seconds,
    )


def sequential_lanes(steps_per_update: int) -> int:
    """Runs to vmap on one CPU core: enough to hide the cost of starting kernels, few enough for its cache.

    Measured with CartPole and MinAtar (`benchmarks/throughput.py`): from a few thousand samples an update on,
    one run at a time is fastest.
    """
    return max(1, 2048 // steps_per_update)


def to_host(tree: Any) -> Any:
    """NumPy arrays of the whole, on every process."""
    if jax.process_count() > 1:
        return jax.tree.map(lambda x: np.asarray(multihost_utils.process_allgather(x, tiled=True)), tree)
    return jax.device_get(tree)
