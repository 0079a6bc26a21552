"""A trained policy as files that act without this library: a program for jax, its weights, and what both are.

A folder with three files comes out. ``program.jax`` is the policy as jax's own serialised form (`jax.export`), for any
number of observations at once, parameters included; ``weights.safetensors`` has parameters and statistics by name, and
``policy.json`` says in which shapes. ``policy.json`` is written last, so that a folder that has it is whole.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve import random
from jaxrl_evolve.experience.normalisation import RunningMoments
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.runs.policy import Carry, Policy
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.manifest import named_leaves
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.restore import Trained, load

PROGRAM, WEIGHTS, FACTS = "program.jax", "weights.safetensors", "policy.json"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
LARGEST_BATCH = 2**20
"""Observations that a program takes at once: random numbers are counted in 32 bits, so there has to be a bound."""

_NEEDS = ("flatbuffers", "safetensors")


def export(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    run: int | Literal["best"] = 0,
    mode: Mode = "greedy",
    step: int | None = None,
    platforms: Sequence[str] = ("cpu",),
    overwrite: bool = False,
) -> str:
    """Write a trained policy so that it acts without this library.

    Args:
        folder: run folder.
        out: folder to write.
        run: which run of the folder, from 0, or ``"best"`` (see `Trained.policy`).
        mode: ``"greedy"`` or ``"sample"``.
        step: which checkpoint, by its number of updates; the newest by default.
        platforms: where the program is to run, of `PLATFORMS`.
        overwrite: replace an earlier export in ``out``.

    Returns:
        The path of the folder.

    Raises:
        ValueError: there is no such run folder, checkpoint, run, mode or platform, ``out`` is not empty, or the policy
            cannot be written as a program.
        ImportError: the packages of the extra ``export`` are not installed.
        OSError: a file cannot be written.
    """
    if not platforms:
        raise ValueError(f"platforms is empty; it must name at least one of {', '.join(PLATFORMS)}")
    for platform in platforms:
        if platform not in PLATFORMS:
            raise ValueError(
                f"platforms has {platform!r}, which is not known: {suggestion(platform, PLATFORMS)}"
            )
    if missing := [name for name in _NEEDS if importlib.util.find_spec(name) is None]:
        raise ImportError(
            f"to export a policy needs {' and '.join(missing)}: pip install 'jaxrl_evolve[export]'"
        )
    _check_free(target := Path(out), overwrite)
    trained = load(folder, step)
    number = trained.number(run)
    policy = trained.policy(number, mode)
    program = _program(policy, tuple(platforms), trained.config.algorithm)
    weights = {name: np.array(leaf) for name, leaf in named_leaves(policy.actor).items()}
    import safetensors.numpy as safetensors  # pyright: ignore[reportMissingImports]

    target.mkdir(parents=True, exist_ok=True)
    (target / FACTS).unlink(missing_ok=True)
    folders.write_bytes(target / PROGRAM, program)
    folders.write_bytes(target / WEIGHTS, safetensors.save(weights))
    folders.write_json(target / FACTS, _facts(trained, number, policy, weights, platforms))
    return str(target)


def _check_free(out: Path, overwrite: bool) -> None:
    """Raise ValueError if anything lies in ``out``, but for an earlier export that is to be replaced."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out is {str(out)!r}, which is a file; it must be a folder")
    there = sorted(os.listdir(out)) if out.is_dir() else []
    foreign = [name for name in there if name not in (PROGRAM, WEIGHTS, FACTS)]
    if foreign or (there and not overwrite):
        hint = f"it holds {', '.join(foreign[:5])}" if foreign else "--overwrite replaces the export in it"
        raise ValueError(f"out is {str(out)!r}, which is not empty: {hint}")


def _program(policy: Policy, platforms: tuple[str, ...], algorithm: str) -> bytes:
    """The serialised ``(observation [b, ...], memory, first [b], key) -> (action [b, ...], memory)``.

    Memory is a tuple of arrays, and the key its two numbers (`jax.random.key_data`), so that nothing but jax's own types
    is needed to call it.
    """
    from jax import export as jax_export

    structure = jax.tree.structure(policy.initial_memory(1))

    def act(observation: Any, memory: Any, first: Any, key: Any) -> tuple[Any, Any]:
        # Behind the barrier they are no constants, which would be computed with before the program runs, and not always
        # to the same bits.
        actor = jax.lax.optimization_barrier(policy.actor)
        carry = Carry(jax.tree.unflatten(structure, memory), first)
        typed = jax.random.wrap_key_data(key, impl=random.IMPLEMENTATION)
        action, after = policy.act(actor, observation, carry, typed)
        return action, tuple(jax.tree.leaves(after.memory))

    (batch,) = jax_export.symbolic_shape("b", constraints=[f"b <= {LARGEST_BATCH}"])
    many = lambda shape, dtype: jax.ShapeDtypeStruct((batch, *shape), dtype)
    space = policy.observation_space
    memory = tuple(many(x.shape[1:], x.dtype) for x in jax.tree.leaves(policy.initial_memory(1)))
    arguments = (
        many(space.shape, space.dtype),
        memory,
        many((), bool),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
    )
    try:
        exported = jax_export.export(jax.jit(act), platforms=platforms)(*arguments)
        return bytes(exported.serialize())
    except (ValueError, TypeError, NotImplementedError) as error:
        brief = str(error).partition("\n")[0]
        raise ValueError(
            f"what {algorithm} does to act cannot be written for any number of observations: {brief}"
        ) from error


def _facts(
    trained: Trained, run: int, policy: Policy, weights: dict[str, np.ndarray], platforms: Sequence[str]
) -> dict[str, Any]:
    config, made = trained.config, provenance()
    memory = jax.tree.leaves(policy.initial_memory(1))
    return {
        "program": "jaxrl_evolve policy",
        "format": 1,
        "call": "action, memory = program.call(observation, memory, first, key)",
        "largest_batch": LARGEST_BATCH,
        "platforms": list(platforms),
        "mode": policy.mode,
        "observation": _of_space(policy.observation_space),
        "action": _of_space(policy.action_space),
        "memory": [{"shape": x.shape[1:], "dtype": str(x.dtype)} for x in memory],
        "normaliser": _normaliser(policy.actor),
        "weights": {name: {"shape": x.shape, "dtype": str(x.dtype)} for name, x in weights.items()},
        "algorithm": config.algorithm,
        "learner": config.learner,
        "env": config.env,
        "env_options": config.env_options,
        "seed": config.seed,
        "run": run,
        "env_steps": trained.updates * config.steps_per_update,
        "versions": made["versions"],
        "git": made["git"],
    }


def _of_space(space: Space) -> dict[str, Any]:
    """A space as JSON data; a bound that is not finite is null."""
    sizes = {"shape": space.shape, "dtype": str(space.dtype)}
    if isinstance(space, Discrete):
        return {"kind": "discrete", "n": space.n, **sizes}
    return {"kind": "box", **sizes, "low": space.low, "high": space.high}


def _normaliser(actor: Any) -> dict[str, str] | None:
    """Where the moments of observations are among the weights, and how they are used; None if there are none."""
    is_moments = lambda x: isinstance(x, RunningMoments)
    for path, leaf in jax.tree_util.tree_flatten_with_path(actor, is_leaf=is_moments)[0]:
        if is_moments(leaf):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            formula = "clip((observation - mean) / sqrt(variance + 1e-8), -10, 10)"
            return {"mean": f"{name}.mean", "variance": f"{name}.variance", "formula": formula}
    return None
