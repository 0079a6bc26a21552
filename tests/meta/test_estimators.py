"""Every estimator carries its facts; nobody asks for its name."""

from __future__ import annotations

import typing

import pytest

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.estimators import ESTIMATORS, EstimatorName


def test_the_table_has_the_names_that_the_command_offers():
    assert tuple(ESTIMATORS) == typing.get_args(EstimatorName)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_not_read_is_not_in_the_digest(name: str):
    config = MetaTrainConfig.preset(
        "lpg", "grid/random-small", estimator=name, gradient={"lifetimes": 6}, evolution={"population": 8}
    )
    assert config.agents == {"es": 4, "meta-gradient": 6, "pes": 4}[name]
    assert config.method.unread == (() if name == "pes" else ("persistent",))


def test_bad_estimators_are_one_sentence():
    with pytest.raises(ValueError, match="estimator is 'meta_gradient', which is not known: did you mean"):
        MetaTrainConfig.preset("lpg", "grid/random-small", estimator="meta_gradient")
    with pytest.raises(ValueError, match="estimator 'pes' does not serve; .* the estimator es or meta-grad"):
        MetaTrainConfig.preset("lpg", "grid/random-small", estimator="pes", levels={"kind": "groove"})
