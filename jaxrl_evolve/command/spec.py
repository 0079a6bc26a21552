"""`jaxrl-evolve spec`: environments as data, checked, drawn and played."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

from jaxrl_evolve.command.actions import Action, with_actions
from jaxrl_evolve.command.arguments import Devices
from jaxrl_evolve.settings.checks import root_seed

_FASTEST = 50


@dataclasses.dataclass(frozen=True)
class Check:
    """Does the spec in a file hold? Fields, names, contradictions; whether success can come about; starts; of grid specs also policies that know nothing.

    Ends with 0 where it does, else with 2 and a sentence for each fault.
    """

    file: tyro.conf.Positional[str]
    """File: JSON, or a game of PuzzleScript where its name ends in .txt or .puzzle."""
    resets: int = 64
    """Starts that are looked at."""
    episodes: int = 8
    """Episodes of doing nothing, and of random actions."""
    tries: int = 0
    """Of a scripted player, of which one must win, of grid specs; 0 asks for no witness. It solves no puzzles."""
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
    from jaxrl_envs.specs.kinds import kind_of
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    for name in ("resets", "episodes"):
        _at_least_one(name, getattr(arguments, name))
    if arguments.tries < 0:
        raise ValueError(f"tries is {arguments.tries}; it must be at least 0")
    root_seed("seed", arguments.seed)
    out = _out(arguments.file, arguments.out, ".json") if arguments.out else None
    spec = _read(arguments)
    start(Devices())
    language, _, check = kind_of(spec)
    reasons, told = check(spec, arguments.seed, arguments.resets, arguments.episodes, arguments.tries)
    if reasons:
        raise ValueError("\n".join(reasons))
    if out:
        write_whole(out, json.dumps(language.write(spec), indent=1).encode())
    return f"{language.describe(spec)}\n\n{told}\nidentity {language.identity(spec)}"


def _render(arguments: Render) -> str:
    import jax

    from jaxrl_envs.seeds import key_of
    from jaxrl_envs.specs.environments import from_spec
    from jaxrl_envs.specs.kinds import kind_of
    from jaxrl_envs.specs.picture import png
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    root_seed("seed", arguments.seed)
    out = _out(arguments.file, arguments.out, ".png")
    spec = _read(arguments)
    start(Devices())
    env = from_spec(spec)
    _, state = jax.jit(env.reset)(key_of(arguments.seed), env.params)
    write_whole(out, png(kind_of(spec).frame(state, env.params, spec)))
    return f"wrote {out}"


def _play(arguments: Play) -> str:
    import jax

    from jaxrl_envs.seeds import key_of
    from jaxrl_envs.specs.environments import from_spec
    from jaxrl_envs.specs.kinds import kind_of
    from jaxrl_envs.specs.picture import gif
    from jaxrl_evolve.command.start import start
    from jaxrl_evolve.files import write_whole

    for name in ("max_steps", "fps"):
        _at_least_one(name, getattr(arguments, name))
    if arguments.fps > _FASTEST:
        raise ValueError(f"fps is {arguments.fps}; it must be at most {_FASTEST}, as many as a GIF can show")
    root_seed("seed", arguments.seed)
    out = _out(arguments.file, arguments.out, ".gif")
    spec = _read(arguments)
    start(Devices())
    env, frame = from_spec(spec), kind_of(spec).frame
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    key = key_of(arguments.seed)
    _, state = reset(key, env.params)
    frames, total, said = [frame(state, env.params, spec)], 0.0, "was cut off"
    for t in range(arguments.max_steps):
        key_act, key_step = jax.random.split(jax.random.fold_in(key, t))
        done = step(key_step, state, env.action_space.sample(key_act), env.params)
        state, total = done.state, total + float(done.reward)
        frames.append(frame(state, env.params, spec))
        if done.terminated or done.truncated:
            said = "succeeded" if done.info["success"] else "ended"
            break
    write_whole(out, gif(frames, arguments.fps))
    return f"wrote {out}: {len(frames) - 1} steps of random actions, return {total:g}; the episode {said}"


def _read(arguments: Check | Render | Play) -> Any:
    """The spec in the file."""
    from jaxrl_envs.specs.files import read_file

    try:
        return read_file(arguments.file, arguments.level)
    except OSError as error:
        raise ValueError(f"cannot read {arguments.file}: {error.strerror}") from None


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


def _out(file: str, out: str, ending: str) -> Path:
    path = Path(out) if out else Path(file).with_suffix(ending)
    if path.suffix.lower() != ending:
        raise ValueError(f"out is {out!r}; it must end in {ending}")
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else f"lies in {str(path.parent)!r}, which is no folder"
        raise ValueError(f"out is {str(path)!r}, which {why}; it must be a file in a folder that there is")
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
    example="check door.json",
)
