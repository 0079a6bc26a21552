"""Stored objectives: files, names, and the command that trains with them."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk

import jaxrl_evolve
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.command.main import main
from jaxrl_evolve.objectives import (
    ClockAblation,
    HorizonRange,
    HorizonWarning,
    LPOConfig,
    StoredObjective,
    TimeFeatures,
    library,
    load_objective,
    lpo_drift,
    random_eta,
    save_objective,
    stored,
    zero_eta,
)
from jaxrl_evolve.objectives.drift.config import TA_LPO
from jaxrl_evolve.objectives.kinds import find_objective, objective_checksum, objective_names, path_of
from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.training.notices import warn_of_horizon
from jaxrl_evolve.training.sweep import sweep

RANGE = HorizonRange(640, 6_400)
CONFIG = LPOConfig(width=16, time=TimeFeatures(("fraction", "log_horizon"), RANGE))


def an_objective(seed: int = 0, config: LPOConfig = CONFIG, **facts: Any) -> StoredObjective:
    eta = random_eta(jax.random.key(seed), config)
    return StoredObjective("lpo", config, eta, config.time.horizons, **facts)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_objective(tmp_path / "mine.npz", an_objective())
    return tmp_path / "mine.npz"


def test_what_is_stored_is_what_is_loaded(tmp_path: Path):
    facts = {
        "environments": ("SpaceInvaders-MinAtar", "tiny/Walk"),
        "budget": {"generations": 3, "population": 4, "env_steps": 1e9},
        "seeds": (0, 1),
        "scores": {"final": 12.5, "by_horizon": {"640": 1.0}},
        "command": "jaxrl-evolve meta-train ta-lpo",
        "date": "2026-11-20",
    }
    ablation = ClockAblation("wrong", factor=0.25)
    config = dataclasses.replace(
        CONFIG, margin=1e-3, time=dataclasses.replace(CONFIG.time, ablation=ablation)
    )
    before = an_objective(config=config, **facts)
    save_objective(tmp_path / "a.npz", before)
    after = load_objective(tmp_path / "a.npz")
    assert dataclasses.replace(after, eta=before.eta) == before
    assert jax.tree.structure(after.eta) == jax.tree.structure(before.eta)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: (a == b).all(), after.eta, before.eta)))
    save_objective(tmp_path / "b.npz", after)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    # A file that anyone can read.
    with np.load(tmp_path / "a.npz") as archive:
        assert json.loads(archive["header"].tobytes())["scores"]["final"] == 12.5
        assert archive["eta/time"].shape == (2, 8, 16) and archive["eta/time"].dtype == np.float32
    assert (tmp_path / "a.npz").stat().st_size < 6_000


def test_its_objective_starts_from_the_stored_parameters(file: Path):
    objective, eta = load_objective(file).objective(), an_objective().eta
    assert objective.name == "ta-lpo" and objective.horizons == RANGE
    found = objective.init(jax.random.key(9))
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))
    now = CONFIG.time.features(Clock.at(64, 640))
    at = (jnp.asarray([0.5, -0.5]), jnp.asarray([1.0, 1.0]), jnp.float32(0.2), now)
    assert (lpo_drift(CONFIG)(found, *at) == lpo_drift(CONFIG)(eta, *at)).all()


def test_a_run_folder_stands_for_its_objective(tmp_path: Path):
    save_objective(tmp_path / library.FILE_NAME, an_objective())
    assert load_objective(tmp_path).settings == CONFIG
    assert find_objective(str(tmp_path)).horizons == RANGE
    with pytest.raises(ValueError, match=r"holds no stored objective: it has no objective\.npz"):
        load_objective(tmp_path.parent)


# What is wrong with a file.


def rewritten(file: Path, header: Any = None, **leaves: Any) -> Path:
    """The file with fields of its header or leaves replaced (None: removed)."""
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    content = json.loads(arrays["header"].tobytes()) | (header or {})
    arrays["header"] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    arrays |= {f"eta/{name}": leaf for name, leaf in leaves.items()}
    np.savez(file, **{name: leaf for name, leaf in arrays.items() if leaf is not None})
    return file


SETTINGS = json.loads(json.dumps(dataclasses.asdict(CONFIG)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"header": {"kind": "lop"}},
            "kind is 'lop', which this version does not know: known are lpg, lpo, disco",
        ),
        ({"header": {"kind": None}}, "kind is None"),
        ({"header": {"format": 2}}, "has format 2, but this version reads format 1"),
        ({"header": {"program": "another"}}, "no header of one"),
        (
            {"header": {"settings": SETTINGS | {"widht": 3}}},
            "settings has no field 'widht': did you mean width",
        ),
        ({"header": {"settings": SETTINGS | {"width": "x"}}}, "width is 'x'"),
        ({"header": {"settings": SETTINGS | {"time": 3}}}, r"settings\.time is 3"),
        ({"header": {"settings": SETTINGS | {"time": {"kinds": 3}}}}, r"kinds is 3; it must be a tuple"),
        ({"header": {"settings": SETTINGS | {"start": "zero"}}}, "start is 'zero'.*did you mean zeros"),
        ({"header": {"settings": SETTINGS | {"width": 10**30}}}, "settings cannot be used|expected"),
        ({"header": {"horizons": {"least": "5", "most": 6}}}, "least is '5'; it must be a finite number"),
        ({"header": {"seeds": 5}}, "seeds is 5; it must be a list of whole numbers"),
        ({"header": {"environments": [1]}}, r"environments is \(1,\); it must be a list of names"),
        ({"header": {"budget": "much"}}, "budget is 'much'; it must be an object of fields"),
        ({"header": {"horizons": {"least": 5}}}, "horizons.most is missing"),
        (
            {"header": {"settings": SETTINGS | {"width": 32}}},
            r"leaf input has shape \(8, 16\), expected \(8, 32\)",
        ),
        (
            {"header": {"settings": SETTINGS | {"time": {"kinds": ["fraction"]}}}},
            r"leaf time has shape \(2, 8, 16\), expected \(1, 8, 16\)",
        ),
        (
            {"header": {"settings": SETTINGS | {"time": {}}}},
            r"leaf time, of shape \(2, 8, 16\), is none of its",
        ),
        ({"time": None}, r"leaf time, of shape \(2, 8, 16\), is missing"),
        ({"input": np.zeros((8, 16))}, "leaf input has dtype float64, expected float32"),
        ({"output": np.full(16, np.nan, np.float32)}, "leaf output .* not finite"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(file: Path, changes: Any, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        find_objective(str(rewritten(file, **changes)))
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_is_refused(file: Path):
    whole = file.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-1], whole[:4]):
        file.write_bytes(part)
        with pytest.raises(ValueError, match=r"mine\.npz is damaged: it is truncated"):
            load_objective(file)
    middle = whole.index(b"eta/time.npy") + 400
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(ValueError, match=r"mine\.npz is damaged"):
        load_objective(file)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04N."])
def test_another_file_is_refused(file: Path, content: bytes):
    file.write_bytes(content)
    with pytest.raises(ValueError, match="not an .npz archive"):
        load_objective(file)


def test_another_archive_is_refused(file: Path):
    np.savez(file, weights=np.zeros(3))
    with pytest.raises(ValueError, match="no header of one"):
        load_objective(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.txt", "text")
    with pytest.raises(ValueError, match="no header of one"):
        load_objective(file)
    archive = io.BytesIO()
    np.savez(archive, header=np.array({"program": "pickled"}, dtype=object))
    file.write_bytes(archive.getvalue())
    with pytest.raises(ValueError, match="is damaged"):  # pickles are not read
        load_objective(file)


def test_what_does_not_fit_is_not_stored(tmp_path: Path):
    blind = dataclasses.replace(CONFIG, time=TimeFeatures())
    with pytest.raises(ValueError, match=r"leaf time, of shape \(2, 8, 16\), is none of its parameters"):
        StoredObjective("lpo", blind, an_objective().eta)
    with pytest.raises(ValueError, match="kind is 'lpogg'.*lpo"):
        StoredObjective("lpogg", CONFIG, an_objective().eta)
    with pytest.raises(ValueError, match="settings are a TimeFeatures, but kind 'lpo' has LPOConfig"):
        StoredObjective("lpo", CONFIG.time, an_objective().eta)
    with pytest.raises(ValueError, match="no JSON form"):
        save_objective(tmp_path / "a.npz", an_objective(scores={"final": float("nan")}))
    with pytest.raises(ValueError, match=r"cannot write .*a\.npz: No such file"):
        save_objective(tmp_path / "none" / "a.npz", an_objective())
    assert list(tmp_path.iterdir()) == []


# Names.


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: Any) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(library, "SHIPPED", folder)
    save_objective(folder / "ta-lpo.npz", an_objective())
    save_objective(folder / "lpo-walk.npz", an_objective(1, LPOConfig(width=16)))
    return folder


def test_the_folder_of_shipped_objectives_is_in_the_package():
    assert library.SHIPPED.is_dir()
    for name in library.shipped():
        assert find_objective(name).horizons is not None


def test_a_folder_that_bears_the_name_of_an_objective_is_told_of(tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lpo").mkdir()
    save_objective(tmp_path / "lpo" / "objective.npz", an_objective(1, LPOConfig(width=16)))
    assert path_of("lpo") == "./lpo" and path_of("runs/lpo") == "runs/lpo"
    with pytest.warns(Notice, match="objective 'lpo' is the one of that name; .* is './lpo'"):
        named = jax.tree.map(jnp.shape, find_objective("lpo").init(jax.random.key(0)))
    wanted = an_objective(1, LPOConfig(width=16)).eta
    assert named != jax.tree.map(jnp.shape, wanted)
    jax.tree.map(
        np.testing.assert_array_equal,
        find_objective("./lpo").init(jax.random.key(0)),
        an_objective(1, LPOConfig(width=16)).eta,
    )


def test_shipped_objectives_are_known_by_name(shipped: Path, capsys: Any):
    assert list(library.shipped()) == ["lpo-walk", "ta-lpo"]
    assert {"ppo-clip", "a2c", "discovered", "lpo", "ta-lpo", "lpo-walk"} <= set(objective_names())
    assert find_objective("ta-lpo").init(jax.random.key(0))["time"].any()  # instead of the built-in zeros
    assert find_objective("lpo-walk").name == "lpo"
    assert not find_objective("lpo").init(jax.random.key(0))["input"].any()
    assert objective_checksum("ta-lpo") == stored.checksum(shipped / "ta-lpo.npz") != ""
    assert objective_checksum("lpo") == objective_checksum("ppo-clip") == ""
    with pytest.raises(ValueError, match="did you mean lpo-walk"):
        find_objective("lpo-wakl")
    assert main(["list", "objectives"]) == 0
    assert capsys.readouterr().out.split().count("ta-lpo") == 1


def test_without_shipped_ones_learned_objectives_start_as_ppo(monkeypatch: Any, tmp_path: Path):
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "none")
    for name, config in (("lpo", LPOConfig()), ("ta-lpo", TA_LPO)):
        objective = find_objective(name)
        assert objective.name == name and objective.horizons is None
        same = jax.tree.map(lambda a, b: (a == b).all(), objective.init(jax.random.key(1)), zero_eta(config))
        assert all(jax.tree.leaves(same))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/file", "there is no stored objective no/such/file"),
        ("none.npz", r"there is no stored objective none\.npz"),
        ("discoverd", "objective is 'discoverd'.*did you mean.*discovered"),
    ],
)
def test_what_is_neither_name_nor_file_is_refused(name: str, message: str):
    with pytest.raises(ValueError, match=message):
        find_objective(name)


def test_old_names_work_and_say_the_new_one(tmp_path: Path, capsys: Any, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    Path("dpo").mkdir()  # names come before folders
    with pytest.warns(DeprecationWarning, match="objective 'dpo' is called 'discovered' now"):
        assert find_objective("dpo").name == "discovered"
    assert objective_checksum("dpo") == "" and "dpo" not in objective_names()
    with pytest.warns(DeprecationWarning, match=r"jaxrl_evolve\.DPOConfig is called DiscoveredConfig now"):
        assert jaxrl_evolve.DPOConfig is jaxrl_evolve.DiscoveredConfig
    with pytest.warns(DeprecationWarning, match=r"jaxrl_evolve\.dpo is called discovered now"):
        assert jaxrl_evolve.dpo is jaxrl_evolve.discovered
    out = tmp_path / "run"
    assert command("train", *walk.words(out, updates=1), "--objective", "dpo", "--quiet") == 0
    said = "jaxrl-evolve: objective 'dpo' is called 'discovered' now\n"
    assert capsys.readouterr().err == said
    assert command("resume", out, "--quiet") == 0  # as runs from before the new name
    assert capsys.readouterr().err == said
    assert json.loads((out / "config.json").read_text())["objective"] == "dpo"


# Training with them.


def command(*words: Any) -> int:
    return main([str(word) for word in words])


def test_the_command_trains_with_a_name(tmp_path: Path, capsys: Any):
    out = tmp_path / "run"
    sizes = ["--steps", 128, "--num-envs", 4, "--rollout-length", 16, "--evaluation.times", 1]
    ends = ["--evaluation.max-steps", 20, "--evaluation.episodes", 2, "--evaluation.final-episodes", 2]
    net = ["--learner.network.hidden", 8, "--learner.minibatches", 2, "--rows", 2, "--out", out]
    where = ["train", "ppo", "--env", "CartPole-v1", "--objective", "ta-lpo"]
    assert command(*where, *sizes, *ends, *net) == 0
    assert "ppo on CartPole-v1" in capsys.readouterr().out
    row = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    assert np.isfinite(row["drift"]).all() and np.isfinite(row["loss"]).all()
    config = json.loads((out / "config.json").read_text())
    assert config["objective"] == "ta-lpo"
    assert config.get("objective_sha256", "") == objective_checksum("ta-lpo")


def test_a_run_keeps_to_the_file_that_it_began_with(file: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "run"
    words = ["train", *walk.words(out), "--objective", file]
    assert command(*words) == 0
    assert "trained at" not in capsys.readouterr().err  # 640 steps are in the range
    config = json.loads((out / "config.json").read_text())
    assert config["objective_sha256"] == objective_checksum(str(file))
    assert command("resume", out, "--step", 8) == 0
    assert command("evaluate", out, "--episodes", 2, "--max-steps", 5) == 0
    capsys.readouterr()
    save_objective(file, an_objective(1))
    for again in (["resume", out], [*words, "--resume"], ["evaluate", out]):
        assert command(*again) == 2
        said = capsys.readouterr().err
        assert f"objective is '{file}', whose file is not the one" in said and said.count("\n") == 1
    file.unlink()
    assert command("resume", out) == 2
    assert f"there is no stored objective {file}" in capsys.readouterr().err


def test_runs_without_a_file_record_what_they_always_did(tmp_path: Path):
    sweep(walk.config(updates=1), tmp_path, grid=["hp.clip=0.1"])
    there = [tmp_path / "sweep.json", *tmp_path.glob("*/config.json")]
    assert len(there) == 2 and not [path for path in there if "objective_sha256" in path.read_text()]


def test_an_untrained_horizon_warns(file: Path, tmp_path: Path, capsys: Any):
    with pytest.warns(HorizonWarning, match="horizon of 64 env steps .*640 to 6,400 env steps.*clamped"):
        warn_of_horizon(walk.config(updates=1, objective=str(file)))
    assert command("train", *walk.words(tmp_path / "run", updates=1), "--objective", file, "--quiet") == 0
    said = capsys.readouterr().err
    assert said.startswith("jaxrl-evolve: the horizon of 64 env steps") and said.count("\n") == 1


def test_a_clock_of_another_unit_is_refused(file: Path, tmp_path: Path, capsys: Any):
    updates = HorizonRange(5, 50, "updates")
    config = dataclasses.replace(CONFIG, time=TimeFeatures(("log_horizon",), updates))
    save_objective(file, an_objective(config=config))
    assert command("train", *walk.words(tmp_path / "run"), "--objective", file) == 2
    assert "the clock counts env_steps" in capsys.readouterr().err
