"""What a family of learned objectives tells meta-training."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.evolution import EvolutionConfig
from jaxrl_evolve.meta.experiment import build_meta
from jaxrl_evolve.meta.horizons import HorizonConfig
from jaxrl_evolve.objectives.families import BUILTIN_FAMILIES, families, find_family, members
from jaxrl_evolve.objectives.kinds import find_objective, objective_names, objective_source
from jaxrl_evolve.objectives.time_config import HorizonRange
from jaxrl_evolve.objectives.written import WRITTEN
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.training.register import register

ENV = "grid/random-small"


def settings_of(name: str, estimator: str = "es") -> Any:
    return MetaTrainConfig.preset(name, ENV, estimator=estimator).complete_settings()


def test_the_estimator_gets_the_start_that_it_needs():
    assert (settings_of("lpg").start, settings_of("lpg", "pes").start) == ("zeros", "zeros")
    assert settings_of("lpg", "meta-gradient").start == "random"
    assert {settings_of("lpo", estimator).start for estimator in ("es", "meta-gradient", "pes")} == {"hidden"}


def test_time_features_get_the_range_of_horizons_and_blind_ones_stay_blind():
    config = MetaTrainConfig.preset("ta-lpg", ENV, horizons={"low": 2, "high": 8})
    time = config.complete_settings().time
    assert time.kinds == ("fraction", "log_horizon")
    assert time.horizons == HorizonRange(2.0 * 64 * 20, 8.0 * 64 * 20)
    assert settings_of("ta-lpo").time.kinds == ("fraction", "log_horizon")
    assert settings_of("lpo").time.size == settings_of("disco").time.size == 0


def test_defaults_of_the_family_are_those_of_the_preset():
    drift = EvolutionConfig(64, 0.03, 0.99, 0.03, 0.99, shaping="centred_rank")
    lpo, lpg = MetaTrainConfig.preset("ta-lpo", ENV), MetaTrainConfig.preset("ta-lpg", ENV)
    assert (lpo.evolution, lpo.horizons) == (drift, HorizonConfig("log_uniform", 10, 100))
    assert (lpg.evolution, lpg.horizons) == (EvolutionConfig(), HorizonConfig())
    assert lpo.hp.learning_rate_end == 1.0  # an annealed step size would be a clock
    assert [type(config.settings) for config in (lpo, lpg)] == [lpo.family.settings, lpg.family.settings]


def test_every_family_has_an_environment_or_asks_for_one(monkeypatch: Any):
    named = {name: MetaTrainConfig.preset(name).env for name in ("ta-lpg", "lpo", "ta-disco")}
    assert named == {"ta-lpg": "grid/random-small", "lpo": "CartPole-v1", "ta-disco": "Catch-bsuite"}
    other = BUILTIN_FAMILIES["lpo"]._replace(kind="other", members={"other-lpo": settings_of("lpo")}, env="")
    offered = lambda group: [Point("other", other)] if group == plugins.OBJECTIVE_FAMILIES else []
    monkeypatch.setattr(plugins, "entry_points", offered)
    with pytest.raises(ValueError, match="env is missing, and the family of 'other-lpo' names none"):
        MetaTrainConfig.preset("other-lpo")


class Point(NamedTuple):
    """An entry point of an installed package."""

    name: str
    what: Any

    def load(self) -> Any:
        return self.what


def test_a_package_adds_a_family_and_mistakes_are_one_sentence(monkeypatch: Any):
    other = BUILTIN_FAMILIES["lpo"]._replace(kind="other", members={"other-lpo": settings_of("lpo")})
    points = [Point("other", other)]
    offered = lambda group: points if group == plugins.OBJECTIVE_FAMILIES else []
    monkeypatch.setattr(plugins, "entry_points", offered)
    assert list(families()) == ["lpg", "lpo", "disco", "other"]
    assert find_family("other-lpo") is other
    assert "other-lpo" in objective_names() and members()["other-lpo"]().name == "lpo"
    with pytest.raises(ValueError, match="'other-lp', which cannot be meta-trained: did you mean other-lpo"):
        find_family("other-lp")
    for field, wrong, said in (
        ("settings", settings_of("lpo"), "settings is a LPOConfig; it must be a dataclass, not an instance"),
        ("members", ["other-lpo"], "members is a list; it must be a mapping by name"),
        ("evolution", None, "evolution is a NoneType; it must be a mapping by name"),
    ):
        points[:] = [Point("other", other._replace(**{field: wrong}))]
        with pytest.raises(ValueError, match=f"entry point 'other' of .*families: {said}"):
            families()
    for wrong in (other._replace(kind="lpo"), settings_of):
        points[:] = [Point("other", wrong)]
        with pytest.raises(
            ValueError, match="entry point 'other' of .*families is .*; it must be an Objective"
        ):
            families()


def test_a_family_whose_function_forgets_to_return_is_refused(monkeypatch: Any):
    lost = BUILTIN_FAMILIES["lpo"]._replace(
        kind="other", make=lambda settings: None, members={"lost": settings_of("lpo")}
    )
    offered = lambda group: [Point("other", lost)] if group == plugins.OBJECTIVE_FAMILIES else []
    monkeypatch.setattr(plugins, "entry_points", offered)
    said = "objective family 'other': make gave a NoneType; it must be an Objective"
    for ask in (lambda: find_objective("lost"), lambda: build_meta(MetaTrainConfig.preset("lost", ENV))):
        with pytest.raises(ValueError, match=said):
            ask()


def test_parameters_that_cannot_be_moved_are_refused_before_anything_lives(monkeypatch: Any):
    lpo = BUILTIN_FAMILIES["lpo"]
    for extra, dtype in ((jnp.int32(3), "int32"), (jax.random.key(0), "key<fry>")):

        def make(settings: Any, extra: Any = extra) -> Any:
            inner: Any = lpo.make(settings)
            return inner._replace(init=lambda key: {"net": inner.init(key), "n": extra})

        odd = lpo._replace(kind="other", make=make, members={"odd": settings_of("lpo")})
        offered = lambda group, odd=odd: [Point("other", odd)] if group == plugins.OBJECTIVE_FAMILIES else []
        monkeypatch.setattr(plugins, "entry_points", offered)
        said = (
            rf"^objective family 'other': init of its objective gives \['n'\] as {dtype}; .* must be floats"
        )
        with pytest.raises(ValueError, match=said):
            build_meta(MetaTrainConfig.preset("odd", ENV))


@pytest.mark.filterwarnings("ignore::jaxrl_evolve.settings.notices.Notice")
def test_a_name_means_one_objective_to_training_and_to_meta_training(monkeypatch: Any):
    names = ("lpo", "ppo-clip", "shared")
    offers = [
        BUILTIN_FAMILIES["lpo"]._replace(kind=kind, members={name: settings_of("lpo") for name in names})
        for kind in ("one", "two")
    ]
    points = [Point(family.kind, family) for family in offers]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: points if group == plugins.OBJECTIVE_FAMILIES else []
    )
    with pytest.warns(Notice) as told:
        assert find_family("lpo") is BUILTIN_FAMILIES["lpo"]
    assert [str(notice.message) for notice in told] == [
        f"objective 'lpo' is that of family 'lpo'; the one that family {kind!r} offers by that name cannot be reached and needs another"
        for kind in ("one", "two")
    ]
    with pytest.warns(
        Notice, match="objective 'ppo-clip' is the library's; the one that family 'one' offers"
    ):
        assert objective_source("ppo-clip") is WRITTEN["ppo-clip"]
    with pytest.warns(Notice), pytest.raises(ValueError, match="'ppo-clip', which cannot be meta-trained"):
        find_family("ppo-clip")
    with pytest.warns(Notice, match="'shared' is that of family 'one'; the one that family 'two' offers"):
        assert find_family("shared") is offers[0]
    assert objective_source("shared") is offers[0]
    assert "shared" in members() and "ppo-clip" not in members()
    with pytest.raises(ValueError, match="members of family 'own' has 'shared', which is taken"):
        register("objective_family", "own", offers[0]._replace(kind="own", members={"shared": None}))
    with pytest.raises(ValueError, match="name is 'shared', which is that of an objective of family 'one'"):
        register("objective", "shared", lambda: None)
