"""The kinds of run and sweep that there are: each room's own."""

from __future__ import annotations

import os
from pathlib import Path

from jaxrl_evolve.generation.train import GENERATE
from jaxrl_evolve.meta.sweep import META_SWEEP
from jaxrl_evolve.meta.train import META_TRAIN
from jaxrl_evolve.meta_test.run import META_TEST
from jaxrl_evolve.self_play.exploitability import EXPLOITABILITY
from jaxrl_evolve.self_play.tournament import TOURNAMENT
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.storage.folder import kind_of
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.sweep import SWEEP
from jaxrl_evolve.training.train import TRAIN

KINDS = {
    kind.name: kind
    for kind in (TRAIN, SWEEP, META_TRAIN, META_SWEEP, META_TEST, EXPLOITABILITY, TOURNAMENT, GENERATE)
}


def kind_in(path: str | os.PathLike[str]) -> Kind:
    """The kind of the run or sweep in a folder.

    Raises:
        ValueError: there is no such folder, it holds none, or one of a kind that is not known.
    """
    name = kind_of(path)
    if name not in KINDS:
        raise ValueError(f"kind of {Path(path)} is {name!r}, which is not known: {suggestion(name, KINDS)}")
    return KINDS[name]
