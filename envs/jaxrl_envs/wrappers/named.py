"""Wrappers as text, for the command line and for configurations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from jaxrl_envs.contract import Env
from jaxrl_envs.keywords import near
from jaxrl_envs.wrappers.actions import flatten_actions, rescale_actions, sticky_actions
from jaxrl_envs.wrappers.limits import time_limit
from jaxrl_envs.wrappers.observations import flatten_observations, frame_stack
from jaxrl_envs.wrappers.rewards import clip_rewards, scale_rewards
from jaxrl_envs.wrappers.time_aware import time_aware
from jaxrl_envs.wrappers.vary import level_seeds, vary_params

WRAPPERS: dict[str, Callable[..., Env]] = {
    wrapper.__name__: wrapper
    for wrapper in (
        clip_rewards,
        flatten_actions,
        flatten_observations,
        frame_stack,
        level_seeds,
        rescale_actions,
        scale_rewards,
        sticky_actions,
        time_aware,
        time_limit,
        vary_params,
    )
}
"""By name; the first argument is the environment, the others are numbers, or names of parameters."""


def wrapped(env: Env, text: Any) -> Env:
    """``env`` in wrappers, the innermost first: ``"sticky_actions:0.1+frame_stack:4"``.

    Raises:
        ValueError: the text is not read so, or a wrapper does not fit.
    """
    if not isinstance(text, str):
        raise ValueError(f"wrappers is {text!r}; it must be text such as 'sticky_actions:0.1+frame_stack:4'")
    for part in re.split(r"\+(?=[a-z_])", text):
        name, *words = part.split(":")
        if name not in WRAPPERS:
            raise ValueError(
                f"wrappers is {text!r}; there is no {name!r}{near(name, WRAPPERS) or '.'} Known: {', '.join(WRAPPERS)}"
            )
        signature = inspect.signature(WRAPPERS[name])
        kinds = [parameter.annotation for parameter in signature.parameters.values()][1:]
        try:
            given = [
                word if i < len(kinds) and kinds[i] == "str" else _number(word)
                for i, word in enumerate(words)
            ]
            signature.bind(env, *given)
        except (TypeError, ValueError):
            takes = ":".join(list(signature.parameters)[1:]).upper()
            raise ValueError(
                f"wrappers is {text!r}; {name} reads {':'.join(filter(None, (name, takes)))}, with numbers"
            ) from None
        env = WRAPPERS[name](env, *given)
    return env


def _number(word: str) -> float:
    try:
        return int(word)
    except ValueError:
        return float(word)
