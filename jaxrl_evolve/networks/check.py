"""What is wrong with a network of one's own, found without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.networks.distributions import Categorical, Distribution
from jaxrl_evolve.networks.network import Network

_LENGTH, _ENVS = 2, 3  # unlike each other, so that swapped axes tell


def check_network(
    network: Network, observation_space: Space, action_space: Space, predictions: int = 0
) -> None:
    """Evaluate every function of a network abstractly: shapes and dtypes only, no numbers, nothing compiled.

    Args:
        network: to be checked.
        observation_space: of one observation.
        action_space: of one action.
        predictions: logits that it has to predict of each observation; 0 is none.

    Raises:
        ValueError: a function fails, or gives what has another shape, dtype or structure than `Network` says.
    """
    shape = lambda *batch: jax.ShapeDtypeStruct((*batch, *observation_space.shape), observation_space.dtype)
    flags = lambda *batch: jax.ShapeDtypeStruct(batch, bool)
    params = _params(network)
    memory = _memory(network)
    own = jax.tree.map(lambda x: jax.ShapeDtypeStruct((_LENGTH, *x.shape), x.dtype), memory)
    actor = _evaluated("actor", network.actor, params)
    step = (shape(_ENVS), flags(_ENVS), memory)

    facts, after = _evaluated("policy", _asked(network.policy, 2), actor, *step)
    _expect_distribution("policy", facts, action_space, (_ENVS,))
    _expect_memory("policy", after, memory)
    facts, value, after = _evaluated("policy_and_value", _asked(network.policy_and_value, 3), params, *step)
    _expect_distribution("policy_and_value", facts, action_space, (_ENVS,))
    _expect("policy_and_value", "a value", value, (_ENVS,))
    _expect_memory("policy_and_value", after, memory)

    batch = (_LENGTH, _ENVS)
    steps = (shape(*batch), flags(*batch), memory)
    facts, value, prediction = _evaluated("unroll", _asked(network.unroll, 3), params, *steps)
    _expect_distribution("unroll", facts, action_space, batch)
    _expect("unroll", "a value", value, batch)
    if network.fresh_memory is not None:
        fresh = _evaluated("fresh_memory", lambda: network.before_any(_ENVS))
        _evaluated("unroll", _asked(network.unroll, 3), params, *steps[:2], fresh)
    _expect("value", "a value", _evaluated("value", network.value, params, shape(*batch), own), batch)
    if network.latents is not None:
        _check_latents(network, params, shape(_ENVS))
    if not predictions and prediction is not None:
        raise ValueError(
            f"network.unroll gives {_described(prediction)} as prediction, and none is asked for; it must be None"
        )
    if predictions:
        if network.predict is None or prediction is None:
            raise ValueError(
                f"the objective needs predictions of {predictions} classes, and the network makes none"
            )
        _expect("unroll", "a prediction", prediction, (*batch, predictions))
        said = _evaluated("predict", network.predict, params, shape(*batch), own)
        _expect("predict", "a prediction", said, (*batch, predictions))


def _check_latents(network: Network, params: Any, obs: Any) -> None:
    assert network.latents is not None
    given = obs
    for name in ("encode", "project"):
        given = _evaluated(f"latents.{name}", getattr(network.latents, name), params, given)
        if not hasattr(given, "shape") or len(given.shape) != 2:
            raise ValueError(
                f"network.latents.{name} gives {_described(given)}; it must be float32[{_ENVS}, D] for {_ENVS} observations"
            )
        _expect(f"latents.{name}", "features", given, (_ENVS, given.shape[1]))


def _params(network: Network) -> Any:
    params = _evaluated("init", lambda: network.init(jax.random.key(0)))
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating) or leaf.weak_type:
            weak = "weakly typed " if leaf.weak_type else ""
            raise ValueError(
                f"network.init gives {jax.tree_util.keystr(path)} as {weak}{leaf.dtype}; parameters must be floats "
                "of explicit dtype"
            )
    return params


def _memory(network: Network) -> Any:
    memory = _evaluated("initial_memory", lambda: network.initial_memory(_ENVS))
    leaves = jax.tree.leaves(memory)
    if network.recurrent != bool(leaves):
        told = "there is one" if leaves else "there is none"
        raise ValueError(f"network.recurrent is {network.recurrent}, but of the memory {told}")
    for leaf in leaves:
        if leaf.shape[:1] != (_ENVS,):
            raise ValueError(
                f"network.initial_memory gives {_told(leaf)} for {_ENVS} environments; the first axis must be theirs"
            )
    return memory


def _evaluated(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Shapes and dtypes of what a function gives."""
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:  # whatever is wrong in another's code
        shapes = ", ".join(_told(x) for x in jax.tree.leaves(arguments[1:]))
        given = f" of {shapes}" if shapes else ""
        said = str(error).strip().partition("\n")[0]
        raise ValueError(f"network.{name}{given} fails: {type(error).__name__}: {said}") from error


def _asked(function: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """The function, with its distribution asked for everything that learners ask."""

    def asked(*arguments: Any) -> tuple[Any, ...]:
        given = function(*arguments)
        if not isinstance(given, tuple) or len(given) != parts:
            size = f" of {len(given)}" if isinstance(given, tuple) else ""
            raise TypeError(f"it gives {type(given).__name__}{size}, not a tuple of {parts}")
        if not hasattr(given[0], "log_prob"):
            raise TypeError(f"it gives {_described(given[0])}, not a distribution")
        return (_facts(given[0]), *given[1:])

    return asked


def _facts(distribution: Distribution) -> dict[str, Array]:
    action = distribution.sample(jax.random.key(0))
    facts = {
        "a sample": action,
        "a mode": distribution.mode(),
        "a log-probability": distribution.log_prob(action),
        "an entropy": distribution.entropy(),
    }
    return {**facts, "logits": distribution.logits} if isinstance(distribution, Categorical) else facts


def _expect_distribution(name: str, facts: dict[str, Any], space: Space, batch: tuple[int, ...]) -> None:
    dtype = "int32" if isinstance(space, Discrete) else "float32"
    for what in ("a sample", "a mode"):
        _expect(name, f"a distribution with {what}", facts[what], (*batch, *space.shape), dtype)
    for what in ("a log-probability", "an entropy"):
        _expect(name, f"a distribution with {what}", facts[what], batch)
    if "logits" in facts and isinstance(space, Discrete):
        logits = facts["logits"]
        floats = jax.numpy.issubdtype(logits.dtype, jax.numpy.floating)
        dtype = str(logits.dtype) if floats else "float32"
        _expect(name, "a distribution with logits", logits, (*batch, space.n), dtype)


def _expect_memory(name: str, given: Any, memory: Any) -> None:
    told = lambda tree: ", ".join(map(_told, jax.tree.leaves(tree))) or "()"
    if jax.tree.structure(given) != jax.tree.structure(memory) or told(given) != told(memory):
        raise ValueError(
            f"network.{name} gives a memory of {told(given)}; it must be like initial_memory's, {told(memory)}"
        )


def _expect(name: str, what: str, given: Any, shape: tuple[int, ...], dtype: str = "float32") -> None:
    if not hasattr(given, "shape"):
        raise ValueError(f"network.{name} gives {_described(given)} for {what}; it must be an array")
    if (given.shape, str(given.dtype)) != (shape, dtype):
        wanted = f"{dtype}{list(shape)}"
        raise ValueError(f"network.{name} gives {what} of {_told(given)}; it must be {wanted}")


def _described(thing: Any) -> str:
    return _told(thing) if hasattr(thing, "dtype") else type(thing).__name__


def _told(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"
