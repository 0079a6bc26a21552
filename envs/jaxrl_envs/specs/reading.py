"""From data to a grid spec, or to every fault that can be told at once."""

from __future__ import annotations

from itertools import islice
from typing import Any

from jaxrl_envs.specs import canonical, contradictions, references
from jaxrl_envs.specs.language import Data, SpecError
from jaxrl_envs.specs.lookup import lost
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.shaping import MOST_TOLD, newer, shaped
from jaxrl_envs.specs.text import parse, plain


def read(source: str | bytes | Data) -> GridSpec:
    """A spec in its canonical form.

    Args:
        source: JSON text, or data.

    Raises:
        SpecError: with all faults of the first kind that there are: of the text; of fields, and beside them names that refer to nothing; of names
            and numbers that must fit each other; of what can never hold or always does.
    """
    data = parse(source) if isinstance(source, str | bytes) else plain(source)
    spec = _shaped(data)
    for check in (references.faults, contradictions.faults):
        if found := check(spec):
            raise SpecError(*found)
    return canonical.canonical(spec)


def _shaped(data: Any) -> GridSpec:
    """Whoever is told of a field that is wrong is told of the names as well that refer to nothing."""
    try:
        return shaped(data, GridSpec)
    except SpecError as error:
        if not isinstance(data, dict) or newer(data, GridSpec):
            raise
        told = {fault.path for fault in error.faults}
        more = (fault for fault in lost(data) if fault.path not in told)
        raise SpecError(*error.faults, *islice(more, max(MOST_TOLD - len(error.faults), 0))) from None
