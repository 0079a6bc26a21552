"""A run on a spec of a file has the spec: whatever becomes of the file."""

from __future__ import annotations

import dataclasses
import json
import warnings
from types import SimpleNamespace

import pytest

pytest.importorskip("pydantic")

from jaxrl_envs import registry
from jaxrl_envs.specs import language, tech_tree
from jaxrl_evolve import TrainConfig
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.results.scores import task_name
from jaxrl_evolve.storage.folder import RunFolder
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.parts import make_env
from jaxrl_evolve.training.resumption import ResumeWarning

GRID = language("grid")


def written(path, goal):
    path.write_text(json.dumps(tech_tree.spec_data(goal)))
    return GRID.identity(GRID.read(path.read_bytes()))


@pytest.fixture
def config(tmp_path):
    written(tmp_path / "a.json", "make_pickaxe")
    return TrainConfig.preset("ppo", "specs/file", env_options={"path": str(tmp_path / "a.json")})


def resumed(config, tmp_path):
    """What is said where a run is taken up."""
    host = Host(RunFolder(tmp_path), config.to_json(), {}, True, {})
    host.checkpoints = SimpleNamespace(steps=lambda: [1], restore=lambda template, step: (template, {}))  # pyright: ignore[reportAttributeAccessIssue]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        host.restore(None)
    return [str(each.message) for each in caught if each.category is ResumeWarning]


def test_a_run_needs_the_file_no_more(config, tmp_path):
    path = tmp_path / "a.json"
    identity = GRID.identity(GRID.read(tech_tree.spec_data("make_pickaxe")))
    assert config.env_options["identity"] == identity and config.env_options["source"] == str(path)
    before = make_env(config.env, config.env_options).params
    assert resumed(config, tmp_path) == []
    other = written(path, "collect_iron")
    again = TrainConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    (said,) = resumed(again, tmp_path)
    assert f"holds spec {other[:8]} by now" in said and identity[:8] in said and "\n" not in said
    path.write_text("{}")
    assert "holds no sound spec by now" in resumed(again, tmp_path)[0]
    path.unlink()
    assert resumed(again, tmp_path) == []
    assert make_env(again.env, again.env_options).params.success.tolist() == before.success.tolist()
    assert task_name(config.env, **config.env_options) == f"specs/file[identity={identity[:8]},source={path}]"


def test_another_path_is_another_spec_and_what_does_not_hold_is_refused(config, tmp_path):
    other = written(tmp_path / "b.json", "collect_iron")
    there = {**config.env_options, "path": str(tmp_path / "b.json")}  # as a sweep over paths asks for
    assert dataclasses.replace(config, env_options=there).env_options["identity"] == other
    tested = MetaTestConfig(baselines=("ppo",), envs=("specs/file",), env_options=there)
    assert tested.env_options["identity"] == other and "path" not in tested.env_options
    with pytest.raises(ValueError, match=r"path of specs/file is '.*gone.json': No such file"):
        TrainConfig.preset("ppo", "specs/file", env_options={"path": str(tmp_path / "gone.json")})
    with pytest.raises(ValueError, match="they must be the same"):
        registry.make("specs/file", **{**config.env_options, "identity": "0" * 64})
    with pytest.raises(ValueError, match="needs the option path"):
        TrainConfig.preset("ppo", "specs/file") and make_env("specs/file", {})
