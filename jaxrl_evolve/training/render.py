"""An episode of a trained agent as an animated GIF, played on the host frame by frame."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_evolve import random
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.training.restore import load


def render(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    run: int | Literal["best"] = 0,
    mode: Mode = "greedy",
    seed: int = 0,
    max_steps: int = 1_000,
    fps: int = 30,
) -> str:
    """Play one episode of a trained agent and write it as a GIF.

    Args:
        folder: run folder.
        out: file to write; ``episode.gif`` in the run folder by default.
        run: which run of the folder, from 0, or ``"best"`` (see `Trained.policy`).
        mode: ``"greedy"`` or ``"sample"``.
        seed: root of the episode's randomness.
        max_steps: steps after which the episode is cut off.
        fps: frames per second; GIF counts hundredths of a second, so it is rounded to what that allows.

    Returns:
        The path of the file, which appears whole or not at all.

    Raises:
        ValueError: there is no such folder, checkpoint or run, the environment cannot be drawn, or a number
            is out of range.
        OSError: the file cannot be written.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}; it must be at least 1")
    if not 1 <= fps <= 50:
        raise ValueError(f"fps is {fps}; it must lie between 1 and 50, which is what GIF viewers can show")
    target = Path(folder) / "episode.gif" if out is None else Path(out)
    if target.suffix.lower() != ".gif":
        raise ValueError(f"out is {str(target)!r}; it must end in .gif")
    trained = load(folder)
    env, learner = trained.experiment.env, trained.experiment.learner
    state = trained.state_of(trained.number(run))
    if env.render is None:
        raise ValueError(f"the suite of {env.name} offers no drawing of it, so an episode cannot be shown")
    frames = episode(env, learner, state, random.key(seed), mode, max_steps)
    _write_gif(frames, target, fps)
    return str(target)


def episode(
    env: Env, learner: Learner, learner_state: Any, key: jax.Array, mode: Mode, max_steps: int
) -> list[np.ndarray]:
    """Frames ``uint8 [H, W, 3]`` of one episode, its first and its last state included.

    Args:
        env: an environment that can draw itself.
        learner: whose ``act`` chooses.
        learner_state: of one run.
        key: randomness of the episode.
        mode: ``"greedy"`` or ``"sample"``.
        max_steps: steps after which it is cut off.
    """
    assert env.render is not None
    actor = learner.actor(learner_state)

    def step(key: jax.Array, state: Any, obs: Any, first: jax.Array, memory: Any) -> Any:
        key, key_act, key_step = jax.random.split(key, 3)
        one = jax.tree.map(lambda x: x[None], obs)
        action, memory, _ = learner.act(actor, one, first, memory, key_act, mode=mode)
        out = env.step(key_step, state, jax.tree.map(lambda x: x[0], action), env.params)
        return key, out.state, out.obs, jnp.zeros((1,), bool), memory, out.terminated | out.truncated

    key, key_reset = jax.random.split(key)
    obs, state = jax.jit(env.reset)(key_reset, env.params)
    first, memory = jnp.ones((1,), bool), learner.initial_memory(1)
    compiled = jax.jit(step)
    frames = [env.render(state, env.params)]
    for _ in range(max_steps):
        key, state, obs, first, memory, ended = compiled(key, state, obs, first, memory)
        frames.append(env.render(state, env.params))
        if ended:
            break
    return frames


def _write_gif(frames: Sequence[np.ndarray], path: Path, fps: int) -> None:
    from PIL import Image

    images = [Image.fromarray(np.asarray(frame)) for frame in frames]
    # One palette for all frames, of the whole episode's colours: no flicker, and smaller files.
    sample = np.concatenate([np.asarray(x) for x in images[:: max(1, len(images) // 16)]])
    palette = Image.fromarray(sample).quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    last_longer = [1000 / fps] * (len(images) - 1) + [1000.0]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            images[0].save(
                file,
                format="GIF",
                save_all=True,
                append_images=images[1:],
                duration=[round(x / 10) * 10 for x in last_longer],
                loop=0,
            )
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
