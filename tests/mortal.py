"""Processes that are killed while they train, and take a quarter of a second to start.

What costs most in a start is tracing and compiling, and none of it is what a kill may break. So one process compiles,
and the others load its programs: the loop, its files and its checkpoints are the real ones.
"""

from __future__ import annotations

import builtins
import itertools
import os
import pickle
import signal
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import walk
from same import host
from tiny import TINY
from xla import flags

from jaxrl_evolve.meta import train as meta
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.training import loop as loops
from jaxrl_evolve.training import programs
from jaxrl_evolve.training import train as training
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.resumption import ResumeWarning

LENGTH = 10
"""Rows of a run, and checkpoints: one for each update or generation."""
KEEP = 4
PPO = {
    "minibatches": 2,
    "epochs": 1,
    "normalise_observations": True,
    "normalise_returns": True,
    "network": {"hidden": (8,)},
}
DQN = {"capacity": 128, "batch": 8, "gradient_steps": 1, "warm_up": 64, "network": {"hidden": (8,)}}
COUNT = {"ppo": "updates", "dqn": "updates", "meta": "generation"}
"""What is trained, and the column that counts what a checkpoint's step counts."""


def config_of(kind: str) -> Any:
    if kind == "meta":
        return MetaTrainConfig.preset("lpg", walk.NAME, **{**TINY, "generations": LENGTH, "keep": KEEP})
    return walk.config(
        kind,
        updates=LENGTH,
        seeds=2,
        rows=LENGTH,
        checkpoints=LENGTH,
        keep=KEEP,
        learner=PPO if kind == "ppo" else DQN,
        resets="pool:6:2" if kind == "ppo" else "full",
        evaluation=EvaluationConfig(times=2, episodes=2, final_episodes=4, max_steps=20),
    )


class _Program:
    """A jitted function that is compiled once, by the first process, and loaded by the others."""

    def __init__(self, jitted: Any, folder: Path, number: int) -> None:
        self._jitted, self._path, self._loaded = jitted, folder / f"{number}.pickle", None

    def lower(self, *arguments: Any) -> _Program:
        if self._loaded is None:
            # Imported late: it starts a backend, which a process that forks must not have.
            from jax.experimental import serialize_executable as executables

            if self._path.exists():
                self._loaded = executables.deserialize_and_load(*pickle.loads(self._path.read_bytes()))
            else:
                self._loaded = self._jitted.lower(*arguments).compile()
                self._path.write_bytes(pickle.dumps(executables.serialize(self._loaded)))
        return self

    def compile(self) -> Any:
        return self._loaded

    def __call__(self, *arguments: Any) -> Any:
        return self.lower(*arguments).compile()(*arguments)


def _load_programs(folder: Path) -> None:
    numbers = itertools.count()

    def kept(kind: str, key: Any, make: Any) -> Any:
        made = make()
        if kind not in ("training", "meta init", "meta generation"):
            return made
        program = lambda jitted: _Program(jitted, folder, next(numbers))
        if isinstance(made, programs._Jitted):
            return programs._Jitted(*map(program, made[:3]), made.init_objective)
        return tuple(map(program, made)) if isinstance(made, tuple) else program(made)

    programs.kept = meta.kept = kept
    training.check_memory = lambda *_: None  # traces, too


def _die_at(moment: int, moments: Any) -> None:
    """Kill this process at the ``moment``-th time that it is about to change a file, or has.

    A write into an open file is torn in the middle: half of it is in the file.
    """
    counter = itertools.count(1)

    def point() -> None:
        moments.value = next(counter)
        if moments.value == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def mortal(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            point()
            result = real(*arguments, **options)
            point()
            return result

        return call

    for name in ("rename", "replace", "fsync", "mkdir", "unlink", "remove", "rmdir", "ftruncate"):
        setattr(os, name, mortal(getattr(os, name)))
    really_open = builtins.open

    def open_torn(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = really_open(path, mode, *arguments, **options)
        if mode in ("ab", "r+b", "w+b"):
            real = file.write

            def write(data: bytes) -> int:
                real(data[: len(data) // 2])
                file.flush()
                point()
                return real(data[len(data) // 2 :])

            return _Torn(file, write)
        return file

    builtins.open = open_torn


class _Torn:
    """A file with another ``write``."""

    def __init__(self, file: Any, write: Any) -> None:
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()


def live(kind: str, out: Path, shared: Path, step: int | None, moment: int, moments: Any, rows: Any) -> None:
    """Train on; the whole state is beside the folder at the end.

    Args:
        kind: one of `COUNT`.
        out: run folder.
        shared: has the programs, or gets them.
        step: the checkpoint to go back to; None is the newest.
        moment: of the kill; 0 lives on.
        moments: gets how many there were.
        rows: gets the number of rows that this process has made.
    """
    os.environ["XLA_FLAGS"] = flags(1)  # a program that was stored is loaded onto all devices
    # What comes from the cache on disk cannot be stored again.
    jax.config.update("jax_enable_compilation_cache", False)
    warnings.filterwarnings("error", "metrics.jsonl lacks|the checkpoint was made", ResumeWarning)
    _load_programs(shared)
    loop = meta._Run if kind == "meta" else loops.Loop
    advance = loop.advance

    def counted(self: Any, *arguments: Any) -> None:
        advance(self, *arguments)
        rows.value += 1

    loop.advance = counted
    _die_at(moment, moments)
    config = config_of(kind)
    if kind == "meta":
        state = meta.meta_train(config, out, resume=True, step=step).state
    else:
        state = training.train(config, out, resume=True, step=step).states
    np.savez(out.with_suffix(".npz"), *host(state))
