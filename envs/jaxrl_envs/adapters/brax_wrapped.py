"""What tells that a brax environment is wrapped: it would reset inside `step`, or call a time limit an end.

Brax's wrappers are known by their classes, also where another package derives its own from them or calls its own
alike (as MuJoCo Playground does); wrappers of other origin by what they leave in the state.
"""

from __future__ import annotations

from typing import Any

import jax

_RESETS = "resets inside step"
_LIMITS = "turns a time limit into done"
_BATCHES = "steps a batch"

# By the ends of class names.
_CLASSES = {
    "AutoResetWrapper": _RESETS,
    "GymnaxToBraxWrapper": _RESETS,
    "EpisodeWrapper": _LIMITS,
    "EvalWrapper": "sums up episodes over resets",
    "VmapWrapper": _BATCHES,
}
# By what is in ``state.info``.
_TRACES = {
    "first_pipeline_state": _RESETS,
    "first_state": _RESETS,
    "first_obs": _RESETS,
    "final_observation": _RESETS,
    "truncation": _LIMITS,
    "episode_done": _LIMITS,
}


def refuse_wrapped(environment: Any, name: str) -> None:
    """Raise unless ``environment`` is a bare brax environment, or in wrappers that leave its episodes alone.

    Raises:
        TypeError: if it has not the functions of one.
        ValueError: naming the wrapper, or what it left in the state.
    """
    for method in ("reset", "step", "action_size"):
        if not hasattr(environment, method):
            raise TypeError(
                f"{name}: {type(environment).__name__} has no {method}; from_brax takes a brax Env"
            )
    advice = (
        "from_brax takes the bare environment (often `.unwrapped`), counts the steps by its own "
        "episode_length and leaves resets and batches to vectorize"
    )
    layer, seen = environment, []
    while layer is not None and not any(layer is s for s in seen):
        for kind in type(layer).__mro__:
            for ending, effect in _CLASSES.items():
                if kind.__name__.endswith(ending):
                    raise ValueError(f"{name} is in {type(layer).__name__}, which {effect}; {advice}")
        seen.append(layer)
        layer = getattr(layer, "env", None)
    state = jax.eval_shape(environment.reset, jax.random.key(0))
    for fact in getattr(state, "info", None) or ():
        if fact in _TRACES:
            raise ValueError(
                f"{name} has {fact!r} in its state's info: something around it {_TRACES[fact]}; {advice}"
            )
    if state.done.shape:
        raise ValueError(f"{name} resets to a state whose done has shape {state.done.shape}; {advice}")
