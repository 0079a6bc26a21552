"""Where a loop stands between two cycles: all that a resumed one needs beside the agent, in one file that is whole or not there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.archive_file import read_archive, write_archive
from jaxrl_evolve.generation.feedback import Feedback, Rate, SkillReport
from jaxrl_evolve.storage.folder import FolderError

FOLDER = "cycles"
_NAME = re.compile(r"cycle_(\d{6})\.json")
NOTES = 200  # that are kept


@dataclasses.dataclass(frozen=True)
class Standing:
    """The host's state of a loop.

    Attributes:
        archive: all specs; its cycle is how many cycles are over.
        feedback: of the last evaluation.
        latest: identities of the specs of the last proposals.
        proposer: what the proposer wants back.
        steps: environment steps by what for: ``original`` and ``generated`` were learned from; ``validation``, ``evaluation``, ``proposing`` and
            ``scoring`` of a curriculum of levels were not.
        done: parts of the loop that are over: cycles, and what follows the last.
        notes: what proposers had to say, a sentence each.
        own: JSON data that this kind of loop alone remembers.
    """

    archive: Archive
    feedback: Feedback = dataclasses.field(default_factory=Feedback)
    latest: tuple[str, ...] = ()
    proposer: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(
            ("original", "generated", "validation", "evaluation", "scoring", "proposing"), 0
        )
    )
    done: int = 0
    notes: tuple[str, ...] = ()
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def env_steps(self) -> int:
        """Steps that were learned from."""
        return self.steps["original"] + self.steps["generated"]

    def with_steps(self, **more: int) -> Standing:
        """With so many more of each kind."""
        return dataclasses.replace(
            self, steps={name: n + more.get(name, 0) for name, n in self.steps.items()}
        )


def write_standing(folder: Path, standing: Standing, keep: int) -> None:
    """Write where a loop stands; files of earlier standings go, but for the last ``keep``.

    Raises:
        FolderError: it cannot be written.
    """
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    more = {
        "feedback": standing.feedback,
        "latest": standing.latest,
        "proposer": standing.proposer,
        "steps": standing.steps,
        "done": standing.done,
        "notes": standing.notes,
        "own": standing.own,
    }
    write_archive(place / f"cycle_{standing.done:06d}.json", standing.archive, more)
    for path in sorted(p for p in place.iterdir() if _NAME.fullmatch(p.name))[: -(keep + 1)]:
        path.unlink(missing_ok=True)


def read_standing(folder: Path, done: int) -> Standing:
    """Where a loop stood after so many parts.

    Raises:
        FolderError: it cannot be read.
    """
    path = folder / FOLDER / f"cycle_{done:06d}.json"
    archive, more = read_archive(path)
    try:
        return Standing(
            archive,
            feedback_from(more["feedback"]),
            tuple(more["latest"]),
            dict(more["proposer"]),
            {str(name): int(n) for name, n in more["steps"].items()},
            int(more["done"]),
            tuple(more["notes"]),
            dict(more["own"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FolderError(f"{path} is damaged: it is no standing of a loop ({error})") from None


def feedback_from(data: Mapping[str, Any]) -> Feedback:
    """Feedback from its JSON data."""
    rate = lambda values: Rate(float(values[0]), float(values[1]), float(values[2]), int(values[3]))
    skills = {name: SkillReport(rate(values[0]), float(values[1])) for name, values in data["skills"].items()}
    specs = {identity: rate(values) for identity, values in data["specs"].items()}
    return Feedback(skills, specs, tuple(data["rejections"]))
