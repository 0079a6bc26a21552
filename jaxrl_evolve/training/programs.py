"""The compiled programs of a group of runs, each traced and compiled once in a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.runs.axes import RunAxis, over_runs, place
from jaxrl_evolve.runs.chunk import TrainState
from jaxrl_evolve.runs.evaluation import Episodes
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import Experiment
from jaxrl_evolve.training.marks import marked

AXIS = "run"
"""Name of the one axis of runs, and of the mesh axis it may be split over."""


class Programs(NamedTuple):
    """Compiled functions of ``R`` runs side by side.

    Attributes:
        init: ``(seeds [R], hp) -> TrainState``, leaves ``[R, ...]``.
        advance: ``(state, hp, updates) -> (state, metrics [R])``; donates ``state``.
        evaluate: ``(learner state, seeds, updates made, repeat) -> Episodes``, leaves ``[R, E]``.
        compile_seconds: what compiling them took; next to nothing if they were kept.
    """

    init: Callable[[np.ndarray, Any], TrainState]
    advance: Callable[[TrainState, Any, int], tuple[TrainState, dict[str, jax.Array]]]
    evaluate: Callable[[Any, np.ndarray, int, int], Episodes]
    compile_seconds: float


class _Jitted(NamedTuple):
    """Jitted functions of ``R`` runs; what a run does not share with every other of its kind is an argument.

    Attributes:
        init: ``(root key, seeds, hp, env_params) -> TrainState``.
        run: as `Chunk.run`.
        evaluate: ``(root key, learner state, seeds, updates, repeat, env_params) -> Episodes``.
        init_objective: ``key -> eta``.
    """

    init: Any
    run: Any
    evaluate: Any
    init_objective: Callable[[jax.Array], Any]


def compile_programs(
    experiment: Experiment,
    hp: Any,
    runs: int,
    horizon: int,
    evaluation: EvaluationConfig,
    root_seed: int,
    mesh: Mesh | None = None,
    key: Hashable | None = None,
) -> Programs:
    """Compile everything that a group of ``runs`` runs needs, unless this process has kept it.

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
        key: the experiment's `identity`, by which its programs are kept; None compiles anew.
    """
    own_hp = any(jnp.ndim(x) for x in jax.tree.leaves(hp))
    backend, on_one = jax.default_backend(), runs // (1 if mesh is None else mesh.size)
    lanes = sequential_lanes(experiment.chunk.steps_per_update) if backend == "cpu" else on_one
    # A vmap over a single run would only turn its products into slower, batched ones.
    axis = RunAxis(AXIS, runs, hp=own_hp, lanes=lanes if lanes < on_one else 1 if on_one == 1 else 0)
    played = (evaluation.episodes, evaluation.max_steps, evaluation.mode)
    jitted = kept(
        "training",
        key and (key, axis, mesh, played, backend),
        lambda: _jit(experiment, axis, mesh, evaluation),
    )

    def put(x: Any, along_runs: bool) -> Any:
        """Arguments where the compiled programs expect them."""
        if mesh is None:
            return jax.tree.map(jnp.asarray, x)
        return place(x, mesh, *((AXIS,) if along_runs else ()))

    root = random.key(root_seed)
    eta = jitted.init_objective(jax.random.fold_in(root, 1))
    root, env_params, eta = put((root, experiment.env.params, eta), False)
    hp = put(hp, own_hp)
    total = put(np.float32(horizon), False)
    one = put(np.int32(1), False)
    seeds = put(np.zeros(runs, np.uint32), True)

    # jax keeps what it traces and compiles with the jitted functions: a second time, these lines cost nothing.
    began = time.perf_counter()
    compiled_init = jitted.init.lower(root, seeds, hp, env_params).compile()
    state = compiled_init(root, seeds, hp, env_params)
    compiled_run = jitted.run.lower(state, hp, eta, env_params, total, one).compile()
    compiled_test = jitted.evaluate.lower(root, state.learner, seeds, one, one, env_params).compile()
    compile_seconds = time.perf_counter() - began

    advance = marked(compiled_run)
    return Programs(
        init=lambda seeds, hp: compiled_init(
            root, put(seeds.astype(np.uint32), True), put(hp, own_hp), env_params
        ),
        advance=lambda state, hp, updates: advance(
            state, put(hp, own_hp), eta, env_params, total, put(np.int32(updates), False)
        ),
        evaluate=lambda learner_state, seeds, updates, repeat: compiled_test(
            root,
            learner_state,
            put(seeds.astype(np.uint32), True),
            put(np.int32(updates), False),
            put(np.int32(repeat), False),
            env_params,
        ),
        compile_seconds=compile_seconds,
    )


def _jit(experiment: Experiment, axis: RunAxis, mesh: Mesh | None, evaluation: EvaluationConfig) -> _Jitted:
    chunk = over_runs(experiment.chunk, [axis], mesh)
    test = jax.vmap(
        experiment.evaluation(evaluation.episodes, evaluation.max_steps, evaluation.mode), (0, 0, None)
    )
    if mesh is not None:
        # Split by hand, as training is: a callback of the environment then plays each device's own episodes.
        along = PartitionSpec(AXIS)
        specs = {"in_specs": (along, along, PartitionSpec()), "out_specs": along}
        test = jax.shard_map(test, mesh=mesh, check_vma=False, **specs)

    def run_keys(root: jax.Array, seeds: jax.Array) -> jax.Array:
        return jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds)

    def init(root: jax.Array, seeds: jax.Array, hp: Any, env_params: Any) -> TrainState:
        return chunk.init(run_keys(root, seeds), hp, env_params)

    def evaluate(
        root: jax.Array,
        learner_state: Any,
        seeds: jax.Array,
        updates: jax.Array,
        repeat: jax.Array,
        env_params: Any,
    ) -> Episodes:
        key = lambda k: jax.random.fold_in(
            jax.random.fold_in(jax.random.fold_in(k, random.KeyTag.EVALUATION), updates), repeat
        )
        keys = jax.vmap(key)(run_keys(root, seeds))
        return test(keys, learner_state, env_params)

    init_objective = experiment.learner.init_objective
    return _Jitted(jax.jit(init), jax.jit(chunk.run, donate_argnums=0), jax.jit(evaluate), init_objective)


def group_shapes(experiment: Experiment, hp: Any, runs: int, key: Hashable | None = None) -> TrainState:
    """Shapes and types of the state of ``runs`` runs, leaves ``[runs, ...]``; compiles nothing.

    Args:
        experiment: what runs.
        hp: hyperparameters of one run.
        runs: size of the group.
        key: the experiment's `identity`, by which the answer is kept.
    """
    init = kept("shapes", key, lambda: jax.jit(jax.vmap(experiment.chunk.init, (0, None, None))))
    return init.eval_shape(jax.random.split(random.key(0), runs), hp, experiment.env.params)


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
