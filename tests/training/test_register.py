"""Names for what was made in this process: in configurations, run folders, and when a run is taken up elsewhere."""

import dataclasses

import jax.numpy as jnp
import pytest
import walk
from same import assert_equal

from jaxrl_envs import registry
from jaxrl_evolve import register
from jaxrl_evolve.algorithms.ppo import PPO
from jaxrl_evolve.networks.table import BUILTIN_NETWORKS, network_names
from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
from jaxrl_evolve.objectives.kinds import objective_names
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.training.restore import load
from jaxrl_evolve.training.train import train


def plain():
    def surrogate(eta, log_ratio, advantage, batch, clock):
        return -jnp.exp(log_ratio) * advantage, {}

    return lambda: actor_critic_objective("plain", surrogate)


@pytest.fixture
def names():
    """Every kind of thing under a name of its own."""
    register("env", "own/Walk", walk.make)
    register("network", "own-net", BUILTIN_NETWORKS["actor-critic"])
    register("objective", "own-objective", plain())
    register("algorithm", "own-ppo", PPO)
    walk_config = walk.config(updates=2, rows=1)
    learner = walk_config.learner
    learner = dataclasses.replace(learner, network=dataclasses.replace(learner.network, kind="own-net"))
    names = {"env": "own/Walk", "algorithm": "own-ppo", "objective": "own-objective"}
    yield dataclasses.replace(walk_config, learner=learner, **names)
    for group in plugins.GROUPS.values():
        for name in [name for name in plugins.added(group) if name.startswith("own-")]:
            plugins.forget(group, name)


def test_a_run_of_registered_parts_is_stored_by_name_and_taken_up(names, tmp_path):
    out = tmp_path / "run"
    result = train(names, out)
    assert "own-net" in network_names() and "own-objective" in objective_names()
    assert_equal(load(out).learner_state, result.states[0].learner)
    with pytest.raises(ValueError, match="rows is 2"):
        train(dataclasses.replace(names, rows=2), out, resume=True)
    said = "the run in {0} was started with {1} {2!r}, which is not known here: register it first, jaxrl_evolve.register({1!r}, {2!r}, …), or install the package that offers it"
    for kind, name in (("objective", "own-objective"), ("network", "own-net"), ("algorithm", "own-ppo")):
        thing = plugins.added(plugins.GROUPS[kind])[name]
        plugins.forget(plugins.GROUPS[kind], name)
        for take_up in (load, lambda out: train(names, out, resume=True)):
            with pytest.raises(ValueError, match="own-") as caught:
                take_up(out)
            assert str(caught.value) == said.format(out, kind, name)
        register(kind, name, thing)
    registry._registered.pop("own/Walk")
    with pytest.raises(
        ValueError, match="was started with env 'own/Walk', which is not known here: register it"
    ):
        load(out)


def test_a_name_registered_again_means_the_new_thing(names):
    first, make = train(names).rows[-1]["policy_loss"], BUILTIN_NETWORKS["actor-critic"]
    register(
        "network", "own-net", lambda config, *rest: make(dataclasses.replace(config, hidden=(4,)), *rest)
    )
    assert train(names).rows[-1]["policy_loss"] != first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("env", "", walk.make), "name is ''; it must be text"),
        (("env", "CartPole-v1", walk.make), "'CartPole-v1' is already registered"),
        (("objective", "lpo", plain()), "name is 'lpo', which is one of the library's objective names"),
        (("network", "actor-critic", plain()), "one of the library's network names; choose another"),
        (("algorithm", "a", walk.make), "algorithm 'a' is a function; it must be an Algorithm"),
        (("objective", "a", 3), "objective 'a' is a int; it must be a function that makes one"),
    ],
)
def test_what_cannot_be_registered_is_refused(given, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        register(*given)
    assert said in str(caught.value)


def test_an_object_in_the_place_of_a_name_says_how_it_gets_one():
    with pytest.raises(ValueError, match=r"env is a Env; it must be a name.*register\('env', NAME, …\)"):
        dataclasses.replace(walk.config(), env=walk.make())
    with pytest.raises(ValueError, match=r"objective is a Objective; .*register\('objective', NAME"):
        walk.config(objective=plain()())
