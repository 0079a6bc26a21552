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


def suggestion(
    name: str, known: Iterable[str], otherwise: str = "known are", inside: Iterable[str] = ()
) -> str:
    """``did you mean a or b?`` for the known names near to ``name``, else ``otherwise`` and all of them.

    Args:
        name: which does not exist.
        known: names that do.
        otherwise: what to say before all of them.
        inside: dotted names of what lies deeper: those that end in ``name`` are meant rather than any other.
    """
    known = list(known)
    alike = lambda other: difflib.SequenceMatcher(None, name, other).ratio()
    deeper = {other: max(alike(other), alike(other.rpartition(".")[2])) for other in inside}
    best = max(deeper.values(), default=0.0)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if best > max([0.5, *map(alike, near)]):
        near = [other for other in sorted(deeper, key=lambda x: -deeper[x]) if deeper[other] > best - 0.1][:3]
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise} {', '.join(known)}"
