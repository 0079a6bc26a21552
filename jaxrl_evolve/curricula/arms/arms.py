"""Arms as data: from text, from stacked parameters, or as an environment names them itself."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.parameters import check_limits, like_default
from jaxrl_evolve.settings.grids import product, split
from jaxrl_evolve.settings.names import suggestion


def arms_of(env: Env, text: str = "") -> Arms:
    """The arms that a text asks for, or those of the environment.

    Args:
        env: the environment.
        text: ``"length=4,8,16"``, values of a parameter from easy to hard; ``"length=4,8 correct=0,1"`` every combination; and
            ``"length:max_steps=4:16,8:32"`` parameters that vary together. Parameters are named as by `varied`.

    Raises:
        ValueError: it does not read so; a parameter is not known (near matches) or takes no such value; a value is there
            twice; or there is no text and the environment has no arms.
    """
    if not text:
        if env.arms is None:
            raise ValueError(f"{env.name} has no arms of its own; {_what_could_vary(env)}")
        return env.arms
    fields = dict[str, list[Any]]()
    for part in text.split():
        names, separator, listed = part.partition("=")
        if not separator or not names or not listed:
            raise ValueError(f"arms is {text!r}; it must read FIELD=V1,V2")
        values = split(listed)
        if len({*values}) < len(values):
            raise ValueError(f"arms gives {names} a value twice: {listed}")
        if names in fields:
            raise ValueError(f"arms names {names} twice")
        fields[names] = values
    points = product(fields)
    params = [_replaced(env, point) for point in points]
    names = [" ".join(point.values()) for point in points]
    return stacked_arms(jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *params), names)


def stacked_arms(params: Any, names: Sequence[str] = ()) -> Arms:
    """Arms that are one task each.

    Args:
        params: leaves ``[arms, ...]``.
        names: of the arms; their numbers by default.

    Raises:
        ValueError: leaves differ in the first axis, or the names in number, or a name is there twice.
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(params)}
    if len(sizes) != 1 or () in sizes or (0,) in sizes:
        raise ValueError(
            f"params has leaves whose first axes are {sorted(sizes)}; it must be one, of at least one arm"
        )
    ((arms,),) = sizes
    names = tuple(names) or tuple(map(str, range(arms)))
    if len(names) != arms or len({*names}) < arms:
        raise ValueError(f"names is {list(names)}; it must have {arms} names, none twice")
    return Arms(names, lambda key, arm: jax.tree.map(lambda x: jnp.asarray(x)[arm], params))


def varied(env: Env) -> dict[str, Array]:
    """The parameters of an environment that text can name: numbers and flags, by their names joined with dots.

    An outer name may be left out where the inner one is the only such.
    """
    found = {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(env.params)
    }
    found = {name or "params": leaf for name, leaf in found.items() if jnp.ndim(leaf) == 0}
    inner = [name.rpartition(".")[2] for name in found]
    return {
        name if inner.count(last) > 1 else last: leaf
        for (name, leaf), last in zip(found.items(), inner, strict=True)
    }


def _what_could_vary(env: Env) -> str:
    names = list(varied(env))
    if not names:
        return "and no parameters that could vary"
    return (
        f"give them by its parameters, --curriculum_options arms FIELD=V1,V2 with FIELD of {', '.join(names)}"
    )


def _replaced(env: Env, point: dict[str, str]) -> Any:
    known = varied(env)
    leaves, structure = jax.tree.flatten(env.params)
    scalars = [i for i, leaf in enumerate(leaves) if jnp.ndim(leaf) == 0]
    place = dict(zip(known, scalars, strict=True))
    for names, values in point.items():
        together = dict(zip(names.split(":"), values.split(":"), strict=False))
        if len(names.split(":")) != len(values.split(":")):
            raise ValueError(f"arms gives {names} the value {values}; it must have one for each, as in 4:16")
        for name, value in together.items():
            if name not in known:
                hint = suggestion(name, known, "its parameters are")
                raise ValueError(f"arms names {name}, which is no parameter of {env.name}: {hint}")
            leaves[place[name]] = like_default(env.name, name, known[name], _number(env, name, value))
    params = jax.tree.unflatten(structure, leaves)
    check_limits(env.name, params)
    if env.check_params is not None:
        try:
            env.check_params(params)
        except ValueError as error:
            raise ValueError(f"arms: {error}") from None
    return params


def _number(env: Env, name: str, text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if not isinstance(value, bool | int | float) or not np.isfinite(value):
        raise ValueError(
            f"arms gives {name} of {env.name} the value {text!r}; it must be a finite number, True or False"
        )
    return value
