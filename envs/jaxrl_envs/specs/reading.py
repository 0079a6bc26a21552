"""From data to a grid spec, or to every fault that can be told at once."""

from __future__ import annotations

from jaxrl_envs.specs import canonical, contradictions, references
from jaxrl_envs.specs.language import Data, SpecError
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.shaping import shaped
from jaxrl_envs.specs.text import parse, plain


def read(source: str | bytes | Data) -> GridSpec:
    """A spec in its canonical form.

    Args:
        source: JSON text, or data.

    Raises:
        SpecError: with all faults of the first kind that there are: of the text, of fields, of names that refer to each other, of
            what can never hold or always does.
    """
    data = parse(source) if isinstance(source, str | bytes) else plain(source)
    spec = shaped(data, GridSpec)
    for check in (references.faults, contradictions.faults):
        if found := check(spec):
            raise SpecError(*found)
    return canonical.canonical(spec)
