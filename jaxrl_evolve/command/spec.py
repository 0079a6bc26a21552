"""`jaxrl-evolve spec`: environments as data, checked, drawn and played."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import tyro

from jaxrl_evolve.command.actions import Action, with_actions
from jaxrl_evolve.command.arguments import Devices


@dataclasses.dataclass(frozen=True)
class Check:
    """Does the spec in a file hold? Fields, names, contradictions; whether success can come about; starts; policies that know nothing.

    Ends with 0 where it does, else with 2 and a sentence for each fault.
    """

    file: tyro.conf.Positional[str]
    """File: JSON, or a game of PuzzleScript where its name ends in .txt or .puzzle."""
    resets: int = 64
    """Starts that are looked at."""
    episodes: int = 8
    """Episodes of doing nothing, and of random actions."""
    seed: int = 0
    """Root of what is played."""
    level: int = 1
    """Of a game, from 1."""
    out: str = ""
    """File to write the spec to as JSON, where it holds; empty for none."""


@dataclasses.dataclass(frozen=True)
class Render:
    """Draw a start of the spec in a file as a PNG."""

    file: tyro.conf.Positional[str]
    """File: JSON, or a game of PuzzleScript where its name ends in .txt or .puzzle."""
    out: str = ""
    """File to write; empty for the spec's, with .png."""
    seed: int = 0
    """Root of the start's randomness."""
    level: int = 1
    """Of a game, from 1."""


@dataclasses.dataclass(frozen=True)
class Play:
    """Draw an episode of random actions in the spec of a file as a GIF."""

    file: tyro.conf.Positional[str]
    """File: JSON, or a game of PuzzleScript where its name ends in .txt or .puzzle."""
    out: str = ""
    """File to write; empty for the spec's, with .gif."""
    seed: int = 0
    """Root of the episode's randomness."""
    level: int = 1
    """Of a game, from 1."""
    max_steps: int = 200
    """Steps after which the episode is cut off."""
    fps: int = 8
    """Frames per second."""


def _check(arguments: Check) -> str:
    from jaxrl_envs.specs.describe import describe
    from jaxrl_envs.specs.environments import read_file
    from jaxrl_envs.specs.grid import GRID
    from jaxrl_envs.specs.ladder import LadderConfig, validate
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    start(Devices())
    config = LadderConfig(resets=arguments.resets, episodes=arguments.episodes, batch=1)
    spec = read_file(arguments.file, arguments.level)
    verdict = validate([spec], arguments.seed, config)[0]
    if not verdict.accepted:
        raise ValueError("\n".join(verdict.reasons))
    if arguments.out:
        write_whole(
            _out(arguments.file, arguments.out, ".json"), json.dumps(GRID.write(spec), indent=1).encode()
        )
    shares = {**verdict.starts, **verdict.plays}
    return (
        f"{describe(spec)}\n\n"
        f"sound in {100 * shares['sound']:.0f} % of {config.resets} starts; of {config.episodes} episodes random actions win "
        f"{100 * shares['random']:.0f} %, doing nothing {100 * shares['idle']:.0f} %\nidentity {GRID.identity(spec)}"
    )


def _render(arguments: Render) -> str:
    import jax

    from jaxrl_envs.specs.environments import from_spec, read_file
    from jaxrl_envs.specs.picture import png, render, with_legend
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    start(Devices())
    spec = read_file(arguments.file, arguments.level)
    env = from_spec(spec)
    out = _out(arguments.file, arguments.out, ".png")
    _, state = jax.jit(env.reset)(jax.random.key(arguments.seed), env.params)
    write_whole(out, png(with_legend(render(state, env.params), spec)))
    return f"wrote {out}"


def _play(arguments: Play) -> str:
    import jax

    from jaxrl_envs.specs.environments import from_spec, read_file
    from jaxrl_envs.specs.picture import gif, render, with_legend
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    for name in ("max_steps", "fps"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"{name} is {getattr(arguments, name)}; it must be at least 1")
    start(Devices())
    spec = read_file(arguments.file, arguments.level)
    env = from_spec(spec)
    out = _out(arguments.file, arguments.out, ".gif")
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    key = jax.random.key(arguments.seed)
    _, state = reset(key, env.params)
    frames, total, said = [with_legend(render(state, env.params), spec)], 0.0, "was cut off"
    for t in range(arguments.max_steps):
        key_act, key_step = jax.random.split(jax.random.fold_in(key, t))
        done = step(key_step, state, env.action_space.sample(key_act), env.params)
        state, total = done.state, total + float(done.reward)
        frames.append(with_legend(render(state, env.params), spec))
        if done.terminated or done.truncated:
            said = "succeeded" if done.info["success"] else "ended"
            break
    write_whole(out, gif(frames, arguments.fps))
    return f"wrote {out}: {len(frames) - 1} steps of random actions, return {total:g}; the episode {said}"


def _out(file: str, out: str, ending: str) -> Path:
    path = Path(out) if out else Path(file).with_suffix(ending)
    if path.suffix.lower() != ending:
        raise ValueError(f"out is {out!r}; it must end in {ending}")
    return path


ACTIONS = {
    "check": Action("does it hold? a sentence for each fault", Check, _check),
    "render": Action("draw a start as a PNG", Render, _render),
    "play": Action("draw an episode of random actions as a GIF", Play, _play),
}

COMMAND = with_actions(
    "spec check|render|play FILE",
    "check, draw or play an environment that a file describes",
    ACTIONS,
)
