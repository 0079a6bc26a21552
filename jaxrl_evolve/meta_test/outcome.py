"""What one arm did in one environment, as arrays and as a file."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.files import Unreadable, parse_json, parse_npz, read_regular, write_whole
from jaxrl_evolve.meta_test.tuning import Tuning
from jaxrl_evolve.storage.folder import FolderError

_SCHEDULE, _TUNING, _FACTS = "schedule/", "tuning/", "facts"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Raw results; ``M`` meta-seeds, ``S`` agent seeds, ``H`` horizons.

    Attributes:
        returns: mean evaluation return of each finished agent, float32 ``[M, S, H]``; NaN where it diverged.
        averages: mean return over each life, likewise; NaN where no episode ended.
        schedules: by name, float32 ``[M, S, H, bins]``.
        optimum: of each agent seed's task, float64 ``[S]``; NaN where unknown.
        horizons: int64 ``[H]``, updates.
        tuning: what the hyperparameters were chosen by.
        facts: what it cost and where it comes from: ``env_steps`` of all agents, those of the tuning among them,
            ``evaluation_steps``, ``seconds``, ``commit``, ``processor`` and more; empty in files of earlier versions.
    """

    returns: np.ndarray
    averages: np.ndarray
    schedules: dict[str, np.ndarray]
    optimum: np.ndarray
    horizons: np.ndarray
    tuning: Tuning
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def result_path(folder: Path, env: str, label: str) -> Path:
    """The file of an arm's outcome in an environment."""
    name = "--".join(part.replace(os.sep, "-").replace(" ", "-") for part in (env, label))
    return folder / "results" / f"{name}.npz"


def save(path: Path, outcome: Outcome) -> None:
    """Write an outcome so that the file is there whole or not at all.

    Raises:
        FolderError: it cannot be written.
    """
    arrays = {name: getattr(outcome, name) for name in ("returns", "averages", "optimum", "horizons")}
    arrays |= {_SCHEDULE + name: values for name, values in outcome.schedules.items()}
    arrays |= {_TUNING + f.name: getattr(outcome.tuning, f.name) for f in dataclasses.fields(Tuning)}
    arrays[_FACTS] = np.frombuffer(json.dumps(dict(outcome.facts)).encode(), np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content.getbuffer())
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}") from None


def load(path: Path) -> Outcome:
    """The outcome in a file.

    Raises:
        FolderError: it is damaged.
    """
    try:
        arrays = parse_npz(read_regular(path))
        inside = lambda prefix: {
            name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)
        }
        plain = {name: arrays[name] for name in ("returns", "averages", "optimum", "horizons")}
        facts = parse_json(arrays[_FACTS].tobytes()) if _FACTS in arrays else {}
        return Outcome(**plain, schedules=inside(_SCHEDULE), tuning=Tuning(**inside(_TUNING)), facts=facts)
    except (Unreadable, KeyError, TypeError, ValueError, OSError):
        raise FolderError(f"{path} is damaged: delete it, and --resume makes it again") from None
