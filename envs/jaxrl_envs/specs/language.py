"""What a language of environments is to whoever proposes, stores or mixes specs: eight names, and nothing of what a spec is made of.

A spec is data that describes one environment. It lives in three forms: JSON-like data (`dict`, what a model or a person writes),
a validated immutable object (opaque here; only its `Language` looks into it), and arrays, which are the parameters of the
environment that interprets it. A proposer works on data: `write` a parent, change the dictionary, `repair`, `read`.

    from jaxrl_envs.specs import language

    grid = language("grid")
    data = grid.write(parent)
    data["agent"]["health"] = 5
    child = grid.read(grid.repair(data)[0])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Spec = Any
"""A validated spec. Immutable; ``==`` compares canonical forms, so it does not see the order of rows."""
Data = dict[str, Any]
"""JSON data: dictionaries with text for keys, lists, text, numbers, flags, None."""


class Fault(NamedTuple):
    """One thing that is wrong with a spec, field by field.

    Attributes:
        path: of the field, as in ``rules[2].chance``; empty where the whole is meant.
        value: what stands there, as short printable text; empty where nothing does.
        allowed: a clause that says what may, such as ``it must be a number from 0 to 1``.
        near: known names that may be meant, the likeliest first.
    """

    path: str
    value: str
    allowed: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One sentence."""
        subject = self.path or "the spec"
        said = f"{subject} is {self.value}; {self.allowed}" if self.value else f"{subject}: {self.allowed}"
        return f"{said}; did you mean {' or '.join(self.near)}?" if self.near else said


class SpecError(ValueError):
    """A spec does not hold. The message has a line for each fault.

    Attributes:
        faults: at least one, in the order of the fields.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults

    def __reduce__(self) -> Any:
        return type(self), self.faults


class Language(NamedTuple):
    """How specs of one kind are read, mended, written and told apart. Pure functions on the host; none needs a device.

    Attributes:
        name: of the language, such as ``"grid"``.
        schema: ``() -> dict``, the JSON schema of `Data`, strict as structured outputs want it: every property is required
            (what may be left open is nullable), ``additionalProperties`` is false, choices are enumerations. What a schema
            cannot say (names that refer to each other, sizes together) `read` checks.
        read: ``(text, bytes or Data) -> Spec``; raises one `SpecError` with every fault that can be told at once, of fields that are none or hold what
            they may not the first hundred. Safe for what
            anyone may have written: bounded in size and depth, nothing is executed.
        repair: ``(Data) -> (Data, changes)``: numbers clamped to what is allowed, prerequisites that are missing added, and those
            that these need, unknown keys dropped, and a sentence for each change. The data that is given is left as it is. What
            cannot be mended stays, so `read` may still refuse.
        write: ``(Spec) -> Data``, the canonical form: ``read(write(spec)) == spec``. A fresh dictionary each time.
        describe: ``(Spec) -> str``, lines of plain text for prompts and for people.
        identity: ``(Spec) -> str``, a hash in hexadecimal of the canonical form without what is only told of a spec (its
            name, purpose, parent). Equal for the same environment however its rows and keys were ordered.
        features: ``(Spec) -> float32 [D]``, a vector of one length for the whole language, for distances between specs.
    """

    name: str
    schema: Callable[[], dict[str, Any]]
    read: Callable[[str | bytes | Data], Spec]
    repair: Callable[[Data], tuple[Data, list[str]]]
    write: Callable[[Spec], Data]
    describe: Callable[[Spec], str]
    identity: Callable[[Spec], str]
    features: Callable[[Spec], np.ndarray]
