"""How fields are spelled, and what to say of a name that does not exist."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class UnknownName(ValueError):
    """Nothing is called so.

    Attributes:
        kind: of thing, as `jaxrl_evolve.register` calls it.
        name: that was asked for.
    """

    def __init__(self, message: str, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind, self.name = kind, name


@contextlib.contextmanager
def names_of_a_run(where: object) -> Iterator[None]:
    """Names that a stored run was started with: of one that is not known, say what has to be done.

    Args:
        where: the run's folder; None leaves the message as it is.

    Raises:
        UnknownName: with a sentence on how it becomes known.
    """
    try:
        yield
    except UnknownName as error:
        if where is None:
            raise
        raise UnknownName(
            f"the run in {where} was started with {error.kind} {error.name!r}, which is not known here: register it "
            f"first, jaxrl_evolve.register({error.kind!r}, {error.name!r}, …), or install the package that offers it",
            error.kind,
            error.name,
        ) from None


def require_name(kind: str, value: object) -> None:
    """Refuse an object in the place of its name.

    Raises:
        ValueError: saying how it gets one.
    """
    if not isinstance(value, str):
        raise ValueError(
            f"{kind} is a {type(value).__name__}; it must be a name, so that the run can be taken up again: "
            f"jaxrl_evolve.register({kind!r}, NAME, …) gives it one"
        )


def spelled(name: str) -> str:
    """A field's name as it is spelled everywhere, with underscores; hyphens mean the same."""
    return name.replace("-", "_")


ELSEWHERE = {
    "adaptive-rr": "spr-adaptive",
    "data-efficient-rainbow": "der",
    "overtrained-rainbow": "otrainbow",
    "total_timesteps": "steps",
    "total_steps": "steps",
    "timesteps": "steps",
    "env_id": "env",
    "env_name": "env",
    "lr": "learning_rate",
    "n_envs": "num_envs",
    "n_steps": "rollout_length",
    "num_steps": "rollout_length",
    "n_epochs": "epochs",
    "update_epochs": "epochs",
    "ent_coef": "entropy_coef",
    "vf_coef": "value_coef",
    "clip_range": "clip",
    "clip_eps": "clip",
    "clip_coef": "clip",
    "buffer_size": "capacity",
    "batch_size": "batch",
    "learning_starts": "warm_up",
}
"""What others call a field or an agent, and what it is called here."""


def near(name: str, known: Iterable[str], inside: Iterable[str] = ()) -> list[str]:
    """The known names that ``name`` may mean, at most three, the likeliest first.

    Args:
        name: which does not exist.
        known: names that do.
        inside: dotted names of what lies deeper: those that end in ``name`` are meant rather than any other.
    """
    known, inside = list(known), list(inside)
    owner, _, last = name.rpartition(".")
    if there := ELSEWHERE.get(last.lower()):
        here = [other for other in (*known, *inside) if other.rpartition(".")[2] == there]
        if here:
            return sorted(here, key=lambda other: other.rpartition(".")[0] != owner)[:3]
    # Two letters in common make short names alike that mean nothing of each other.
    cutoff = 0.5 if len(name) > 4 else 0.7
    alike = lambda other: difflib.SequenceMatcher(None, name, other).ratio()
    deeper = {other: max(alike(other), alike(other.rpartition(".")[2])) for other in inside}
    best = max(deeper.values(), default=0.0)
    found = difflib.get_close_matches(name, known, n=3, cutoff=cutoff)
    if best > max([cutoff, *map(alike, found)]):
        return [other for other in sorted(deeper, key=lambda x: -deeper[x]) if deeper[other] > best - 0.1][:3]
    return found


def suggestion(
    name: str, known: Iterable[str], otherwise: str = "known are", inside: Iterable[str] = ()
) -> str:
    """``did you mean a or b?`` for the known names `near` to ``name``, else ``otherwise`` and all of them."""
    known = list(known)
    return meant(near(name, known, inside)) or f"{otherwise} {', '.join(known)}"


def closed(hint: str) -> str:
    """``hint`` as a whole sentence that another may follow: a question as it is, else with a full stop."""
    return hint if hint.endswith("?") else f"{hint}."


def meant(names: list[str]) -> str:
    """``did you mean a or b?``; empty of none."""
    return f"did you mean {' or '.join(names)}?" if names else ""
