"""Proposers by name: the library's, and those that other packages offer or a program registers."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxrl_evolve.generation.answers import FILE as ANSWERS
from jaxrl_evolve.generation.check import checked
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.llm import llm_proposer
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.person import person_proposer
from jaxrl_evolve.generation.proposal import Proposer
from jaxrl_evolve.generation.recorded import recorded_proposer
from jaxrl_evolve.generation.setting import Setting
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import Refused, called, told

LEDGER = "model_calls.jsonl"
"""The file of what a language model cost."""


class _Asked(NamedTuple):
    """What the library's own are made of."""

    config: GenerateConfig
    setting: Setting
    offline: Proposer
    folder: Path | None

    def inside(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / name


def _llm(asked: _Asked) -> Proposer:
    domain, chat = asked.setting.domain, asked.config.chat
    return llm_proposer(domain, chat, asked.offline, asked.inside(ANSWERS), asked.inside(LEDGER))


def _editor(asked: _Asked) -> Proposer:
    # Not above: it needs the language of grids, which other settings may do without.
    from jaxrl_evolve.generation.editor import editor_proposer

    config, setting = asked.config, asked.setting
    numbers = config.editor, config.offline
    return editor_proposer(setting.domain, setting.canvas, *numbers, asked.offline, config.seed)


BUILTIN_PROPOSERS: dict[str, Callable[[_Asked], Proposer]] = {
    "offline": lambda asked: asked.offline,
    "llm": _llm,
    "recorded": lambda asked: recorded_proposer(asked.setting.domain, asked.config.file, asked.offline),
    "person": lambda asked: person_proposer(asked.setting.domain, asked.config.file, asked.offline),
    "editor": _editor,
}


def make_proposer(config: GenerateConfig, setting: Setting, folder: Path | None) -> Proposer:
    """Who proposes.

    Args:
        config: the configuration.
        setting: of the specs.
        folder: of the run, where answers and costs are written; None for none.

    Raises:
        ValueError: nobody is called so, a file is damaged, the specs have nothing that the proposer can edit, the language model's address or
            key is missing, or a factory of one's own fails or makes something else.
        ImportError: what a language model is asked by is not installed.
    """
    # Without a gate what is made is not picked for its novelty either.
    plain = LOOPS[config.loop].specialists and not config.open_ended.novelty
    numbers = dataclasses.replace(config.offline, oversample=1) if plain else config.offline
    asked = _Asked(config, setting, offline_proposer(setting.domain, numbers), folder)
    make = plugins.find(plugins.PROPOSERS, config.proposer, BUILTIN_PROPOSERS)
    if config.proposer in BUILTIN_PROPOSERS:
        return make(asked)
    whose = f"the factory of proposer {config.proposer!r}"
    made = called(whose, make, setting.domain, config.file, asked.offline, saying=(ValueError,))
    if not isinstance(made, Proposer):
        raise Refused(f"{whose} gave {told(made)}; it must be a Proposer")
    return checked(f"proposer {config.proposer!r}", made, setting.domain)


def check_proposer(config: GenerateConfig, setting: Setting) -> None:
    """Refuse who cannot propose before a folder is made for it.

    Raises:
        ValueError: as `make_proposer`, or a file is none.
    """
    if config.file and not Path(config.file).exists() and config.proposer == "recorded":
        raise ValueError(f"file is {config.file!r}, which does not exist")
    if config.file and Path(config.file).exists() and not stat.S_ISREG(Path(config.file).stat().st_mode):
        raise ValueError(f"file is {config.file!r}, which is no regular file")
    if config.proposer != "llm":  # who says the same before it opens what is in the folder
        make_proposer(config, setting, None).close()
