"""Bounds beside fields: what passes, and the sentence for what does not."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.settings.checks import Above, AtLeast, Between, NotEmpty, check, whole
from jaxrl_evolve.settings.nested import from_fields
from jaxrl_evolve.settings.scalar import Scalar


@dataclasses.dataclass(frozen=True)
class Inner:
    widths: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (64, 64)
    optimiser: Literal["adam", "sgd"] = "adam"
    pair: tuple[int, str] = (1, "a")


@dataclasses.dataclass(frozen=True)
class Outer:
    epochs: Annotated[int, AtLeast(1)] = 4
    gamma: Annotated[Scalar, Between(0.0, 1.0)] = 0.5
    scale: float = 1.0
    norm: Annotated[Scalar, Above(0.0, infinite=True)] = 0.5
    switch: bool = False
    name: str = ""
    label: Annotated[str, NotEmpty()] = "x"
    times: Annotated[int, AtLeast(1)] | None = None
    inner: Inner = dataclasses.field(default_factory=Inner)
    anything: Any = None
    options: dict[str, str] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gamma": 0, "scale": 3, "times": 1},  # a whole number does for a float
        {"gamma": 0.0, "norm": math.inf},
        {"gamma": np.float32(1.0), "epochs": np.int64(1)},
        {"gamma": jnp.float32(7.0), "scale": np.ones(3)},  # arrays have no value yet
        {"anything": object(), "options": {"a": "b"}, "inner": Inner((1,), "sgd")},
    ],
)
def test_what_is_allowed_passes(changes):
    check(Outer(**changes))


def test_traced_numbers_pass():
    jax.jit(lambda x: (check(Outer(gamma=x, scale=x)), x)[1])(2.0)


def test_whole_numbers_of_other_types_become_ints():
    there: Any = {"epochs": 5e5, "times": np.int64(3), "inner": Inner((1e1, np.float32(2)), pair=(4.0, "a"))}
    outer = Outer(**there, scale=2.0, anything=1.0)
    before = hash(outer.inner)
    check(outer)
    numbers = (outer.epochs, outer.times, *outer.inner.widths, outer.inner.pair[0])
    assert numbers == (500_000, 3, 10, 2, 4) and {type(number) for number in numbers} == {int}
    assert type(outer.scale) is type(outer.anything) is float and hash(outer.inner) == before


BAD = [
    ({"epochs": 0}, "run.epochs is 0; it must be a whole number of at least 1"),
    ({"epochs": True}, "run.epochs is True; it must be a whole number of at least 1"),
    ({"epochs": 1.5}, "run.epochs is 1.5; it must be a whole number of at least 1"),
    ({"gamma": 1.5}, "run.gamma is 1.5; it must be a number between 0 and 1"),
    ({"gamma": -0.1}, "run.gamma is -0.1; it must be a number between 0 and 1"),
    ({"gamma": math.nan}, "run.gamma is nan; it must be a number between 0 and 1"),
    ({"gamma": True}, "run.gamma is True; it must be a number between 0 and 1"),
    ({"gamma": "much"}, "run.gamma is 'much'; it must be a number between 0 and 1"),
    ({"scale": math.inf}, "run.scale is inf; it must be a finite number"),
    ({"scale": None}, "run.scale is None; it must be a finite number"),
    ({"norm": 0.0}, "run.norm is 0.0; it must be a number above 0"),
    ({"norm": -math.inf}, "run.norm is -inf; it must be a number above 0"),
    ({"switch": 1}, "run.switch is 1; it must be True or False"),
    ({"name": 3}, "run.name is 3; it must be text"),
    ({"label": ""}, "run.label is ''; it must be text that is not empty"),
    ({"times": 0}, "run.times is 0; it must be a whole number of at least 1 or None"),
    ({"options": 3}, "run.options is 3; it must be of type dict"),
    ({"inner": {}}, "run.inner is {}; it must be of type Inner"),
    (
        {"inner": Inner(widths=())},
        "run.inner.widths is (); it must be a tuple with something in it, each a whole number of at least 1",
    ),
    ({"inner": Inner(widths=(1, 0))}, "run.inner.widths is (1, 0); it must be a tuple"),
    ({"inner": Inner(widths=(1, 2.5))}, "run.inner.widths is (1, 2.5); it must be a tuple"),  # type: ignore[arg-type]
    ({"inner": Inner(widths=[1])}, "run.inner.widths is [1]; it must be a tuple"),  # type: ignore[arg-type]
    ({"inner": Inner(pair=(1, 2))}, "run.inner.pair is (1, 2); it must be a tuple"),  # type: ignore[arg-type]
    ({"inner": Inner(pair=(1,))}, "run.inner.pair is (1,); it must be a tuple"),  # type: ignore[arg-type]
    (
        {"inner": Inner(optimiser="adm")},  # type: ignore[arg-type]
        "run.inner.optimiser is 'adm', which is not known: did you mean adam?",
    ),
    ({"inner": Inner(optimiser=1)}, "run.inner.optimiser is 1; it must be one of adam, sgd"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_is_not_allowed_is_refused_in_one_sentence(changes, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        check(Outer(**changes), "run")
    assert "\n" not in str(caught.value)


def test_whole_numbers():
    for value in (0, 0.0, np.int32(0)):
        found = whole("n", value, 0)
        assert found == 0 and type(found) is int
    for value in (-1, True, 1.5, math.inf, "1", None):
        with pytest.raises(ValueError, match=f"n is {value!r}; it must be a whole number of at least 0"):
            whole("n", value, 0)


def test_infinity_comes_back_from_json_where_it_is_allowed():
    # JSON has null for it.
    assert from_fields(Outer, {"norm": None, "times": None}, "run") == Outer(norm=math.inf)
    with pytest.raises(ValueError, match="run.scale is None"):
        check(from_fields(Outer, {"scale": None}, "run"), "run")
