"""What can be asked of a curriculum of levels, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.arms.arms import varied
from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.settings.checks import AtLeast, Between, whole
from jaxrl_evolve.settings.names import suggestion

Parents = Literal["batch", "easy", "hard"]


@dataclasses.dataclass(frozen=True)
class LevelOptions(BufferConfig):
    """Settings of every curriculum of levels; each method offers those that mean something to it."""

    staleness: float = 0.3
    min_fill: float = 0.5
    unique: bool = True
    score: str = "max-mc"
    """What a level is worth, by name (`curricula.levels.scores.SCORES`)."""
    best: Literal["lifetime", "last"] = "lifetime"
    """Of which visits max-mc takes the highest return."""
    threshold: float | None = None
    """Return from which on an episode is a success; None is what the environment says."""
    prior: Annotated[float, AtLeast(0.0)] = 0.5
    """Successes, and as many failures, that are assumed of a level before any were seen, for posterior learnability."""
    decay: Annotated[float, Between(0.0, 1.0)] = 0.9
    """What is left of a level's counted episodes after an update."""
    new: int = 0
    """New levels that are scouted in an update."""
    mutants: int = 0
    """Edited levels that are scouted in an update."""
    again: int = 0
    """Levels of the buffer that are scouted in an update, those first of which the fewest episodes are known."""
    scout_steps: int = 0
    """Steps on a scouted level; 0 is as many as of training."""
    edits: int = 20
    """Random edits that make a mutant."""
    parents: Parents = "batch"
    """What is edited: all levels of the batch in turn, or those four with the lowest (easy) or highest scores."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("new", "mutants", "again", "scout_steps"):
            whole(name, getattr(self, name), 0)
        whole("edits", self.edits, 1)

    @property
    def scouts(self) -> int:
        """Levels that are scouted in an update."""
        return self.new + self.mutants + self.again


REPLAY = (
    *("capacity", "replay_probability", "temperature", "staleness", "min_fill", "prioritisation", "top"),
    *("repeats", "unique"),
)
"""Options of whatever draws from a buffer."""
SCORING = ("score", "best", "threshold", "prior", "decay")
"""Options of scores."""


_READ: dict[str, tuple[str, Callable[[LevelOptions], bool]]] = {
    "temperature": ("prioritisation", lambda options: options.prioritisation != "top-k"),
    "top": ("prioritisation", lambda options: options.prioritisation == "top-k"),
    "best": ("score", lambda options: options.score == "max-mc"),
    "prior": ("score", lambda options: options.score == "posterior-learnability"),
    "edits": ("mutants", lambda options: options.mutants > 0),
    "parents": ("mutants", lambda options: options.mutants > 0),
    "scout_steps": ("scouts", lambda options: options.scouts > 0),
}
"""Options that are read only beside others: which one decides, and when they are."""


def options_of(name: str, given: Mapping[str, Any], offered: Sequence[str], **defaults: Any) -> LevelOptions:
    """The options of a method.

    Args:
        name: of the method, for messages.
        given: what was asked for.
        offered: names that the method reads.
        defaults: its own.

    Raises:
        ValueError: an option is not known, with near matches, has a value that is not allowed, or is not read beside others.
    """
    for option in given:
        if option not in offered:
            raise ValueError(
                f"curriculum_options has {option!r}, which {name} does not take: "
                f"{suggestion(option, offered, 'it takes')}"
            )
    made, usual = LevelOptions(**{**defaults, **given}), LevelOptions(**defaults)
    for option, (other, read) in _READ.items():
        if option in given and getattr(made, option) != getattr(usual, option) and not read(made):
            raise ValueError(
                f"curriculum_options.{option} is {given[option]!r}, which {name} does not read where {other} is {getattr(made, other)!r}: leave it "
                f"out, or choose another {other}"
            )
    return made


def require_levels(name: str, env: Env, edits: bool = False) -> None:
    """Refuse an environment that has one task only, or cannot edit its tasks where that is needed.

    Raises:
        ValueError: saying what is missing, and what could vary.
    """
    if env.sample_params is None:
        raise ValueError(
            f"curriculum is {name!r}, but {env.name} is one task only; it must be a family of levels, such as "
            f"grid/random-small, or have `sample_params`. A curriculum of arms could vary {', '.join(varied(env)) or 'nothing'}"
        )
    if edits and env.edit_params is None:
        raise ValueError(
            f"curriculum is {name!r}, which edits levels, but {env.name} has no `edit_params`; it must be one that has, "
            "such as maze/random"
        )
