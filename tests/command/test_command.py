"""The command: one sentence and an exit code for whatever goes wrong, and nothing lost."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import walk

from jaxrl_evolve import __version__
from jaxrl_evolve.command.commands import COMMANDS, find_command, overview
from jaxrl_evolve.command.kinds import KINDS
from jaxrl_evolve.command.main import UNREAD, main
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.restore import load

TESTS = Path(__file__).parents[1]


def run(*words):
    return main([str(word) for word in words])


def train_words(out, **options):
    return ["train", *walk.words(out, **options)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "trained"
    assert run(*train_words(out, seeds=2)) == 0
    return out


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("words", [["list"], ["--help"], ["report", "--help"]])
def test_a_reader_that_leaves_ends_the_command_quietly(words, lines, monkeypatch, capsys):
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w") as unread:
        unread.reconfigure(line_buffering=lines)
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(words) == UNREAD
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


@pytest.mark.core
def test_train_says_what_came_out(tmp_path, capsys):
    assert run(*train_words(tmp_path / "run")) == 0
    said = capsys.readouterr()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    few = "a single seed has no interval"
    assert f"ppo on tiny/Walk: return {result['iqm']:.4g} (IQM over 1 seeds; {few}), 640 steps" in said.out
    assert str(tmp_path / "run") in said.out and "640 steps per seed" in said.out
    assert run(*train_words(tmp_path / "quiet"), "--quiet") == 0
    said = capsys.readouterr()
    assert said.out == said.err == ""
    config = json.loads((tmp_path / "quiet" / "config.json").read_text())
    assert (config["steps"], config["learner"]["network"]["hidden"]) == (640, [8])


@pytest.mark.core
def test_evaluate_report_and_resume_of_a_finished_run(trained, tmp_path, capsys):
    before = snapshot(trained)
    assert run("evaluate", trained, "--episodes", 8, "--max-steps", 20, "--step", 10) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["eval_return"]) == 2 and found["episodes"] == 8 and found["env_steps"] == 640
    made = json.loads(
        (trained / "result.json").read_text()
    )  # as docs/statistics.md and docs/training.md have it
    assert found["ci95"] == made["ci95"] == [None, None] and "eval_finished" not in found
    assert (found["finished"], made["eval_finished"]) == (1.0, [1.0, 1.0])
    for page, told in (("statistics", "`[null, null]` in files"), ("training", "`ci95` (`[null, null]`")):
        assert told in (TESTS.parent / "docs" / f"{page}.md").read_text()
    assert run("report", trained, "--out", tmp_path / "report") == 0
    said = capsys.readouterr().out
    assert "tiny/Walk" in said and said.endswith(f"report in {tmp_path / 'report'}\n")
    assert run("report", trained, "--out", tmp_path / "report") == 0
    assert capsys.readouterr().out.endswith(" (in place of an earlier one)\n")
    assert (tmp_path / "report" / "report.md").exists()
    walk.forget()
    for words in (["resume", trained], [*train_words(trained, seeds=2), "--resume"]):
        assert run(*words) == 0
        said = capsys.readouterr().out.splitlines()
        more = f"jaxrl-evolve resume {trained} --steps N goes on to more than its 640 steps per seed"
        assert said[0] == f"{trained} had already finished, and nothing was trained; {more}"
        assert said[1].startswith("ppo on tiny/Walk: return")
    assert snapshot(trained) == before
    assert len(walk.traces) == 1  # the check of its types: nothing was compiled


def test_sweep_prints_its_table(tmp_path, capsys):
    out = tmp_path / "sweep"
    words = [
        "sweep",
        *walk.words(out),
        "--grid",
        "hp.clip=0.1,0.2",
        "--random",
        "hp.gamma=0.9:1",
        "--samples",
        "2",
    ]
    assert run(*words) == 0
    table = capsys.readouterr().out
    assert table.count("\n| 0.") == 4 and "hp.gamma" in table
    assert table.endswith(f"|\n\nresults in {out}\n")
    assert run(*words) == 2
    assert "is not empty" in capsys.readouterr().err
    assert run("resume", out) == 0
    assert capsys.readouterr().out == f"{out} had already finished, and nothing was trained\n{table}"


def test_list_help_and_version(capsys):
    assert run("list") == 0
    said = capsys.readouterr().out
    for name in ("ppo ", "a2c ", "ppo-clip", "CartPole-v1", "brax/ant", walk.NAME):
        assert f"  {name}" in said
    assert run("list", "objectives") == 0
    assert "CartPole" not in capsys.readouterr().out
    assert run() == run("--help") == 0
    assert capsys.readouterr().out.count("jaxrl-evolve COMMAND") == 4
    assert run("--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert run("train", "ppo", "--help") == 0
    said = capsys.readouterr().out
    for text in (
        "--hp.learning_rate ",
        "Discount factor",
        "--learner.network.hidden",
        "--overwrite",
        "--group",
    ):
        assert text in said


def modules_after(*words):
    """What the command says, and which of the modules that take long it has imported by then."""
    code = "import atexit, sys; from jaxrl_evolve.command.main import main; heavy = 'jax numpy flax optax gymnax brax'"
    code += (
        "; atexit.register(lambda: print([name for name in heavy.split() if name in sys.modules])); main()"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True
    )
    *lines, imported = said.stdout.splitlines()
    return lines, imported


def test_help_comes_at_once():
    """No jax, no suite: what there is can be read before anything heavy is imported."""
    lines, imported = modules_after("--help")
    assert imported == "[]" and lines == overview().splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("  ")]
    assert shown == list(COMMANDS) and len(shown) == 15


@pytest.mark.parametrize(
    "words",
    [
        *(f"{name} --help" for name in COMMANDS),
        "train a2c --help",
        "train disco --help",
        "sweep dqn --help",
        "meta-train lpo --help",
        "meta-train disco --env grid/dense --estimator meta-gradient --help",
        "list",
    ],
)
def test_settings_are_described_without_jax(words):
    lines, imported = modules_after(*words.split())
    assert imported == "[]" and len(lines) > 4


def test_the_table_of_kinds_has_words_for_each():
    assert KINDS.keys() == kinds.ABOUT.keys()


def test_what_several_processes_do_not_share_is_resumed_by_one_alone(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"kind": "tournament"}')
    assert main(["resume", str(tmp_path), "--coordinator", "x:1"]) == 2
    assert "what this command does is not shared among processes" in capsys.readouterr().err
    assert {name for name in KINDS if not KINDS[name].shared} == {"tournament", "exploitability", "generate"}


def test_a_checkpoint_is_chosen_only_where_there_are_some(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"kind": "meta-test"}')
    assert main(["resume", str(tmp_path), "--step", "8"]) == 2
    assert "holds a meta-test, which has no checkpoints of its own" in capsys.readouterr().err
    assert {name for name in KINDS if KINDS[name].has_checkpoints} == {"train", "meta-train", "generate"}


def test_a_run_folder_from_before_kinds_were_written_goes_on(trained, tmp_path, capsys):
    out = tmp_path / "old"
    shutil.copytree(trained, out)
    config = json.loads((out / "config.json").read_text())
    assert config.pop("kind") == "train"
    (out / "config.json").write_text(json.dumps(config))
    (out / "result.json").unlink()
    for _ in range(2):  # the second time from its end back
        assert run("resume", out, "--step", 8) == 0
        assert capsys.readouterr().out.startswith("ppo on tiny/Walk: return")
    assert run(*train_words(out, seeds=2), "--resume", "--quiet") == 0
    kept = {"eval_return", "iqm", "env_steps"}
    new, old = (json.loads((folder / "result.json").read_text()) for folder in (out, trained))
    assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    assert json.loads((out / "config.json").read_text()) == config


def test_the_folder_of_another_kind_says_what_it_is(tmp_path, capsys):
    sweep, unknown = tmp_path / "sweep", tmp_path / "unknown"
    for path, name, text in (
        (sweep, "sweep.json", '{"kind": "sweep"}'),
        (unknown, "config.json", '{"kind": "meta-trian"}'),
    ):
        path.mkdir()
        (path / name).write_text(text)
    for words, message in [
        (["evaluate", sweep], f"{sweep} holds a sweep, not a training run: its runs lie in folders"),
        (["render", sweep], f"{sweep} holds a sweep, not a training run: its runs lie in folders"),
        (["report", sweep], f"{sweep} has no result.json: its sweep has not finished; resume it first"),
        (["report", unknown], f"{unknown} holds a run of the kind 'meta-trian', not a training run"),
        (["resume", sweep], f"{sweep / 'sweep.json'} is damaged: it is no plan of a sweep"),
        (
            ["resume", unknown],
            f"kind of {unknown} is 'meta-trian', which is not known: did you mean meta-train",
        ),
        (["evaluate", unknown], f"{unknown} holds a run of the kind 'meta-trian', not a training run"),
        (train_words(sweep) + ["--resume"], f"{sweep} holds a sweep, not a training run"),
    ]:
        assert run(*words) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"jaxrl-evolve: {message}") and said.err.count("\n") == 1, said.err
        assert said.out == ""


@pytest.mark.parametrize("command", ["evaluate", "resume", "render", "export"])
def test_the_folder_around_runs_names_them(command, tmp_path, capsys):
    parent, part = tmp_path / "runs", tmp_path / "runs" / "part_1_of_2"
    runs = [part / f"shape_{i:03d}" for i in range(7)]
    for path in runs:
        path.mkdir(parents=True)
        (path / "config.json").write_text('{"kind": "train"}')
    for path, text in ((part / "meta", '{"kind": "meta-train"}'), (part / "damaged", "[")):
        path.mkdir()
        (path / "config.json").write_text(text)
    (part / "sweep.json").write_text('{"kind": "sweep"}')
    options = ["--out", tmp_path / "out"] if command == "export" else []
    named = f"; give one of {', '.join(map(str, runs[:5]))} and 2 more\n"
    told = {parent: f"{parent} is not a run folder: it has no config.json{named}", part: named}
    if command == "resume":  # which takes a sweep as a whole
        told = {parent: f"{parent} is not a run folder: it has no config.json; give {part}\n"}
    for path, message in told.items():
        assert run(command, path, *options) == 2
        assert capsys.readouterr().err.endswith(message)


OUT = "OUT"
WRONG = {
    "no such command": (["trian"], "command is 'trian'.*did you mean train"),
    "no algorithm": (["train"], "needs an algorithm"),
    "unknown algorithm": (
        ["train", "pppo", "--env", "CartPole-v1", "--out", OUT],
        "algorithm is 'pppo'.*mean ppo",
    ),
    "no environment": (["train", "ppo", "--out", OUT], "needs an environment"),
    "no folder": (["train", "ppo", "--env", walk.NAME], "--out"),
    "unknown environment": (
        train_words(OUT, env="CartPole-v11"),
        "'CartPole-v11'; did you mean 'CartPole-v1'",
    ),
    "unknown option": (
        train_words(OUT, **{"hp.learning-rat": 1}),
        "no option --hp.learning-rat: did you mean --hp.learning_rate",
    ),
    "wrong type": (train_words(OUT, steps="many"), "--steps: .*'many'"),
    "wrong number": (train_words(OUT, **{"hp.clip": "wide"}), "--hp.clip: .*'wide'"),
    "no such choice": (
        ["generate", "--out", OUT, "--loop", "dicod"],
        r"--loop: 'dicod' is none of envgen, .*open-ended: did you mean dicode\?",
    ),
    "no such choice in a group": (
        train_words(OUT, **{"evaluation.mode": "greddy"}),
        r"^jaxrl-evolve: --evaluation.mode: 'greddy' is none of greedy, sample: did you mean greedy\?$",
    ),
    "no value": (
        [*train_words(OUT), "--seed"],
        "^jaxrl-evolve: Missing value for argument '--seed'. Expected 1 values.$",
    ),
    "no run": (
        ["evaluate"],
        r"^jaxrl-evolve: Missing from jaxrl-evolve evaluate: STR Run folder. \(required\)$",
    ),
    "half a step": (train_words(OUT, steps=1.5), "--steps: '1.5' is no whole number, such as 250_000 or 1e6"),
    "time limit": (
        train_words(OUT, env="CartPole-v1", **{"env-options": "max_steps_in_episode -3"}),
        "CartPole-v1: max_steps_in_episode is -3; it must be at least 1",
    ),
    "too many environments": (
        train_words(OUT, **{"num-envs": "1e9"}),
        "num_envs is 1,000,000,000 and rollout_length 16; their product must be below 2",
    ),
    "a field without its place": (
        train_words(OUT, **{"learning-rate": 1}),
        r"^jaxrl-evolve: there is no option --learning-rate: did you mean --hp.learning_rate\?$",
    ),
    "another library's name": (
        train_words(OUT, total_timesteps=1),
        r"there is no option --total_timesteps: did you mean --steps\?$",
    ),
    "another library's name with its place": (
        train_words(OUT, **{"hp.lr": 1}),
        r"there is no option --hp.lr: did you mean --hp.learning_rate\?$",
    ),
    "an option like none": (
        [*train_words(OUT), "--xyzzy", 3],
        "there is no option --xyzzy: `jaxrl-evolve train ppo --help` shows all options$",
    ),
    "an option of another command": (
        ["render", OUT, "--framerate", "3"],
        "^jaxrl-evolve: there is no option --fr",
    ),
    "a word too many": (
        ["evaluate", OUT, "again"],
        "there is no place for 'again': `jaxrl-evolve evaluate --help` shows",
    ),
    "a switch with a value": (
        ["evaluate", OUT, "True"],
        "there is no place for 'True': a switch has no value; `jaxrl-evolve evaluate --help` shows how",
    ),
    "sweep of another library's name": (
        ["sweep", *walk.words(OUT), "--grid", "lr=1,2"],
        r"there is no field 'lr': did you mean hp.learning_rate\?$",
    ),
    "a meta-training's name": (
        ["meta-train", "lpo", "--env", "grid/dense", "--out", OUT, "--n_steps=3"],
        r"there is no option --n_steps: did you mean --rollout_length\?$",
    ),
    "an algorithm like none": (
        ["train", "td3", "--env", walk.NAME, "--out", OUT],
        "algorithm is 'td3', which is not known: known are .*ppo",
    ),
    "a table with a memory": (
        train_words(OUT, **{"learner.network.encoder": "tabular", "learner.network.memory": "gru"}),
        "learner.network.memory is 'gru'; a table has none",
    ),
    "what disco does not read": (
        ["train", "disco", "--env", walk.NAME, "--learner.network.memory-size=3", "--out", OUT],
        "learner.network.memory_size is given, which train disco does not read",
    ),
    "no configuration": (["train", "--config", OUT, "--out", OUT], "there is no file"),
    "sweep of what is not read": (
        ["sweep", "a2c", "--env", walk.NAME, "--out", OUT, "--grid", "learner.epochs=1,2"],
        "grid varies learner.epochs, which a2c does not read",
    ),
    "sweep of something deeper": (
        ["sweep", *walk.words(OUT), "--grid", "learning-rate=1,2"],
        "no field 'learning-rate': did you mean hp.learning_rate",
    ),
    "negative steps": (train_words(OUT, steps=-5), "steps is -5; it must be a whole number of at least 1"),
    "no environments": (
        train_words(OUT, **{"num-envs": 0}),
        "num_envs is 0; it must be a whole number of at least 1",
    ),
    "not divisible": (
        train_words(OUT, **{"learner.minibatches": 3}),
        "minibatches is 3; it must divide .* = 64",
    ),
    "groups": (train_words(OUT, seeds=4, group=3), "group is 3; it must divide the number of runs, 4"),
    "out of range": (
        train_words(OUT, **{"hp.gamma": 1.5}),
        "hp.gamma is 1.5; it must be a number between 0 and 1",
    ),
    "resets": (train_words(OUT, resets="half"), "resets is 'half'; allowed are"),
    "objective": (train_words(OUT, objective="ppo-clop"), "objective is 'ppo-clop'.*did you mean ppo-clip"),
    "env option": (
        train_words(OUT, **{"env-options": "nan 1"}),
        "env_options is {'nan': 1}, which tiny/Walk does not",
    ),
    "sizes of the net": (train_words(OUT, **{"learner.network.hidden": -3}), r"hidden is \(-3,\)"),
    "coordinator": (train_words(OUT, coordinator="x:1"), "processes is 0 and process_id -1"),
    "coordinator of what is not shared": (
        ["evaluate", OUT, "--coordinator", "x:1"],
        "coordinator is 'x:1', but what this command does is not shared among processes: leave it out",
    ),
    "coordinator of a comparison of methods": (
        ["preferences", "games", "--out", OUT, "--coordinator", "x:1"],
        "coordinator is 'x:1', but what this command does is not shared among processes: leave it out",
    ),
    "coordinator of a tournament": (
        ["preferences", "tournament", OUT, "--out", OUT, "--coordinator", "x:1"],
        "coordinator is 'x:1', but what this command does is not shared",
    ),
    "coordinator of a search for an answer": (
        ["preferences", "exploitability", OUT, "--out", OUT, "--coordinator", "x:1"],
        "coordinator is 'x:1', but what this command does is not shared",
    ),
    "coordinator of a benchmark": (
        ["benchmark", "minatar-100k", "--out", OUT, "--coordinator", "x:1"],
        "processes is 0 and process_id -1",
    ),
    "a coordinator whose variable is not set": (
        [*train_words(OUT), "--coordinator", "", "--processes", "2", "--process_id", "0"],
        "processes is 2, but there is no coordinator: give its address, or leave this out",
    ),
    "a process alone": (train_words(OUT, process_id=0), "process_id is 0, but there is no coordinator"),
    "nobody to wait for": (
        ["evaluate", OUT, "--join_seconds", "60"],
        "join_seconds is 60.0, but there is no coordinator",
    ),
    "numbers that the cluster tells": (
        train_words(OUT, coordinator="auto", processes=2, process_id=0),
        "processes is 2, but with the coordinator 'auto' the cluster tells it: leave it out",
    ),
    **{
        f"waiting for {seconds}": (
            train_words(OUT, coordinator="x:1", processes=2, process_id=0, join_seconds=seconds),
            f"join_seconds is {seconds}; it must be a number above 0, and at most 86,400",
        )
        for seconds in ("inf", "nan", "-5", "86401")
    },
    **{
        f"an older checkpoint than the first, {words[0]}": (
            [*words, "--step", "-7"],
            "step is -7; it must be a number of updates, or -1 for the newest checkpoint",
        )
        for words in (["resume", OUT], ["evaluate", OUT], ["export", OUT, "--out", OUT])
    },
    "an older checkpoint than the first, exploitability": (
        ["preferences", "exploitability", OUT, "--out", OUT, "--step", "-7"],
        "step is -7; it must be a whole number of at least -1",
    ),
    "episodes of levels": (
        ["evaluate", OUT, "--levels", "9", "--episodes", "50"],
        "episodes is given, but levels has level_episodes on each level instead",
    ),
    "episodes of arms": (
        ["evaluate", OUT, "--arm_levels", "9", "--episodes", "50"],
        "episodes is given, but arm_levels has level_episodes on each level instead",
    ),
    "both": ([*train_words(OUT), "--overwrite", "--resume"], "exclude each other"),
    "a2c's passes": (
        ["train", "a2c", *walk.words(OUT)[1:]],
        "learner.minibatches is given, which train a2c does not read",
    ),
    "nothing to resume": (["resume", OUT], "there is no run folder"),
    "nothing to evaluate": (["evaluate", OUT], "there is no run folder"),
    "nothing to draw": (["render", OUT], "there is no run folder"),
    "nothing to report": (["report", OUT], "is not a folder"),
    "nothing to sweep": (["sweep", *walk.words(OUT)], "needs something to vary"),
    "sweep of what": (
        ["sweep", *walk.words(OUT), "--grid", "num_env=4"],
        "no field 'num_env': did you mean num_envs",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_one_sentence_and_exit_code_2(name, tmp_path, capsys):
    words, message = WRONG[name]
    out = tmp_path / "out"
    assert run(*(str(word).replace(OUT, str(out)) for word in words)) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    text = " ".join(said.err.replace("│", " ").split())
    assert re.search(message, text), text
    if said.err.startswith("jaxrl-evolve: "):
        assert said.err.count("\n") == 1
    assert not out.exists()


def test_a_configuration_is_dumped_read_and_changed(tmp_path, capsys):
    words = train_words(tmp_path / "none", seeds=2, steps="1e3", **{"hp.gae-lambda": 0.5})
    assert run(*words, "--dump") == 0
    dumped = capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    (tmp_path / "mine.json").write_text(dumped)
    file = json.loads(dumped)
    assert (file["kind"], file["algorithm"], file["steps"], file["hp"]["gae_lambda"]) == (
        "train",
        "ppo",
        1000,
        0.5,
    )
    # Also what config.json leaves out at its default, so that there is a whole file to change.
    config = TrainConfig.from_json(file)
    assert file.keys() - {"kind"} == {field.name for field in dataclasses.fields(config)}
    assert (file["start"], file["curriculum_options"], file["learner"]["network"]["kind"]) == (
        "",
        {},
        "actor-critic",
    )
    out = tmp_path / "run"
    assert (
        run("train", "--config", tmp_path / "mine.json", "--seed", 3, "--steps", 640, "--out", out, "--quiet")
        == 0
    )
    written = dataclasses.replace(config, seed=3, steps=640).to_json()
    assert json.loads((out / "config.json").read_text()) == written
    # A run folder does as well; what is not said stays, the folder's facts do not.
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"history": [{"steps": 64}]}))
    assert run("train", "ppo", "--config", out, "--learner.network.hidden", 4, 5, "--dump") == 0
    again = json.loads(capsys.readouterr().out)
    config["learner"]["network"]["hidden"] = [4, 5]
    assert TrainConfig.from_json(again).to_json() == config
    for words, message in [
        (["train", "a2c", "--config", out], f"algorithm is 'a2c', but the configuration in {out} has 'ppo'"),
        (["meta-train", "--config", out], "config.json is that of a training run, not of a meta-training"),
        (["meta-test", "--config", out], "config.json is that of a training run, not of a meta-test"),
        (["train", "--config", out, "--hp.gamma", 2], "hp.gamma is 2.0; it must be a number between 0 and 1"),
        (["train", "--config", out], "train needs a folder to write: --out FOLDER"),
    ]:
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1, said


def test_of_an_option_that_is_there_twice_the_last_counts(tmp_path):
    """For the preset, the file and the estimator, too, which are looked for before the words are parsed."""
    first, last = ["--env", "CartPole-v1"], ["--env=Breakout-MinAtar"]
    train, out = find_command("train"), ["--out", str(tmp_path / "run")]
    of_last = train.parse(["ppo", *last, *out]).config
    assert of_last != train.parse(["ppo", *first, *out]).config
    assert train.parse(["ppo", *first, *out, *last]).config == of_last
    files = []
    for steps in (320, 640):
        (file := tmp_path / f"{steps}.json").write_text(
            json.dumps(dataclasses.replace(walk.config(), steps=steps).to_json())
        )
        files += ["--config", str(file)]
    assert train.parse([*files, *out]).config.steps == 640
    meta = find_command("meta-train").parse(
        ["lpo", "--estimator", "meta-gradient", "--estimator", "es", "--evolution.sigma", "0.5", *out]
    )
    assert (meta.config.estimator, meta.config.evolution.sigma) == ("es", 0.5)


def test_options_fill_what_a_file_leaves_out_and_the_rest_is_named_at_once(tmp_path, capsys):
    mini = tmp_path / "mini.json"
    mini.write_text(json.dumps({"env": walk.NAME, "hp.gamma": 0.5}))
    said = f"jaxrl-evolve: {mini}: {{}} missing; `jaxrl-evolve train … --dump` prints a whole configuration\n"
    for words, missing in [
        ([], "algorithm, steps, num_envs, rollout_length, resets and learner are"),
        (["ppo", "--steps", "1e3", "--learner.epochs=2"], "num_envs, rollout_length and resets are"),
        (["ppo", "--steps", 9, "--num-envs", 2, "--rollout-length=4", "--resets=full"], "learner is"),
    ]:
        assert run("train", *words, "--config", mini, "--dump") == 2
        assert capsys.readouterr().err == said.format(missing)
    words = ["--steps", "1e3", "--num-envs=2", "--rollout_length", 4, "--resets=full", "--learner.epochs", 2]
    assert run("train", "ppo", "--config", mini, *words, "--dump") == 0
    found = json.loads(capsys.readouterr().out)
    assert [found[name] for name in ("env", "steps", "num_envs")] == [walk.NAME, 1000, 2]
    assert (found["hp"]["gamma"], found["learner"]["epochs"], found["learner"]["minibatches"]) == (0.5, 2, 4)
    mini.write_text(json.dumps({"objective": "lpo", "generations": 3}))
    assert run("meta-train", "--config", mini, "--env", "grid/dense", "--population=4", "--dump") == 2
    missing = "num_envs, rollout_length, resets, settings, horizons, learner and hp are missing"
    assert f"{mini}: {missing}; `jaxrl-evolve meta-train … --dump` prints" in capsys.readouterr().err
    mini.write_text(json.dumps({"horizon": [3]}))
    assert run("meta-test", "--config", mini, "--dump") == 2
    message = f"jaxrl-evolve: {mini}: there is no field 'horizon': did you mean horizons?\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("meta-train ta-lpo --env chain/delayed-short --population 4 --levels.min-fill 0.5", "ta-lpo"),
        ("meta-test --envs chain/delayed-short --horizons 1e2 5 --seeds 2", "chain/delayed-short"),
    ],
)
def test_other_kinds_dump_what_they_read(words, message, tmp_path, capsys):
    assert run(*words.split(), "--dump") == 0
    dumped = capsys.readouterr().out
    assert message in dumped
    (tmp_path / "mine.json").write_text(dumped)
    assert run(words.split()[0], "--config", tmp_path / "mine.json", "--seed", 5, "--dump") == 0
    found, file = json.loads(capsys.readouterr().out), json.loads(dumped)
    assert found == file | {"seed": 5}
    if "evolution" in found:  # which the command once had without the dots
        assert (found["evolution"]["population"], found["levels"]["buffer"]["min_fill"]) == (4, 0.5)
    else:
        assert found["horizons"] == [100, 5]


HIDDEN = {
    "train ppo": [],
    "train a2c": ["learner.epochs", "learner.minibatches", "learner.clip_value"],
    "train lpg": ["hp.clip", "hp.gae_lambda", "hp.entropy_coef", "learner.clip_value"],
    "train dqn": ["objective"],
    "train disco": ["learner.network.memory", "learner.network.distribution"],
    "meta-train ta-lpg": ["gradient.gamma", "persistent.window", "settings.time.horizons", "hp.clip"],
    "meta-train lpo": ["settings.start"],
    "meta-train lpg --estimator meta-gradient": ["evolution.sigma", "persistent.window", "settings.start"],
    "meta-train lpg --estimator pes": ["gradient.gamma", "levels.kind"],
}


@pytest.mark.parametrize("words", HIDDEN)
def test_help_shows_what_can_be_used(words, capsys):
    assert run(*words.split(), "--help") == 0
    said = capsys.readouterr().out
    meta = words.startswith("meta-train")
    for required in ("--out STR", *([] if meta else ["--env STR"])):
        text = " ".join(said.partition(required)[2].replace("│", " ").split())
        assert re.match(r"[^(]*(\([^()]*`[^()]*\)[^(]*)?\(required, unless --", text), text[:300]
    if meta:
        env = "CartPole-v1" if "lpo" in words else "grid/random-small"
        assert f"(default: {env})" in said and f"Meta-train {words.split()[1]}, on {env} if" in said
    shown = set(re.findall(r"--([\w.]+)", said))
    assert not shown & set(HIDDEN[words])
    assert {"out", "config", "env", "learner.network.hidden", "hp.gamma"} <= shown
    assert not [name for name in shown if "-" in name]


def test_help_of_meta_training_without_an_objective_names_them(capsys):
    assert run("meta-train", "--help") == run("meta-sweep", "--help") == 0
    said = capsys.readouterr().out
    assert re.search(r"ta-lpo +ppo +CartPole-v1\n", said) and re.search(
        r"lpg +lpg +grid/random-small\n", said
    )
    assert said.count("OBJECTIVE --help explains") == 2


def test_folders_that_cannot_be_used(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    before = snapshot(tmp_path), snapshot(trained)
    for words, message in [
        (train_words(tmp_path / "file"), "cannot write to output folder"),
        (train_words(tmp_path / "file" / "deep"), "cannot write to output folder .*: Not a directory"),
        (
            train_words(tmp_path / "full"),
            "is not empty: continue its run with --resume or delete it with --overwrite",
        ),
        ([*train_words(tmp_path / "full"), "--overwrite"], "will not overwrite .*it holds thesis.tex"),
        ([*train_words(tmp_path / "full"), "--resume"], "not a run folder"),
        (train_words(trained), "is not empty"),
        (
            [*train_words(trained, seeds=2, steps=6400), "--resume"],
            "steps is 6400, but the run in .* with 640",
        ),
        ([*train_words(trained, seeds=3), "--resume"], "seeds is 3, but the run in .* was started with 2"),
        ([*train_words(trained, seeds=2, **{"hp.clip": 0.3}), "--resume"], "hp.clip is 0.3, but .* with 0.2"),
        (["evaluate", trained, "--step", 7], r"has no checkpoint of step 7 \(it has: 8, 10\)"),
    ]:
        code = 1 if "checkpoint" in message else 2
        assert run(*words) == code
        said = capsys.readouterr().err
        assert re.search(message, said) and said.count("\n") == 1, said
    assert (snapshot(tmp_path), snapshot(trained)) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert run(*train_words(tmp_path / "run")) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_overwrite_starts_anew(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(*train_words(out)) == 0
    assert run(*train_words(out, seed=1), "--overwrite") == 0
    assert json.loads((out / "result.json").read_text())["seed"] == 1


def test_a_truncated_checkpoint_is_named_and_an_older_one_goes_on(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(*train_words(out, **{"hp.learning-rate": 0.01})) == 0
    result = json.loads((out / "result.json").read_text())
    newest = out / "checkpoints" / "step_000000010"
    victim = max(newest.rglob("d/*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-5])
    capsys.readouterr()
    for command in (["resume", out], ["evaluate", out], ["render", out]):
        before = snapshot(out)
        assert run(*command) == 1
        said = capsys.readouterr().err
        assert f"{victim.relative_to(newest)} has " in said and "newest intact checkpoint is step 8" in said
        assert said.count("\n") == 1 and snapshot(out) == before
    assert run("resume", out, "--step", 8) == 0
    again = json.loads((out / "result.json").read_text())
    assert again["eval_return"] == result["eval_return"]
    assert load(out).updates == 10


def test_an_environment_that_returns_nan(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(*train_words(out, seeds=2, **{"env-options": "nan_rate 1"})) == 1
    said = capsys.readouterr().err
    assert "loss or parameters of all 2 runs were not finite" in said.splitlines()[-1]
    assert "Traceback" not in said and len(said.splitlines()) <= 5
    assert load(out).updates == 2 and (out / "metrics.jsonl").read_text().count("\n") == 1
    assert run("resume", out) == 1


def test_a_suite_that_is_not_installed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "brax", None)
    assert run("train", "ppo", "--env", "brax/ant", "--out", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "pip install" in said and said.count("\n") == 1


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys):
    out = tmp_path / "run"
    words = train_words(out, updates=4000, rows=400, checkpoints=4)
    code = "import sys, walk; from jaxrl_evolve.command.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], env=environment, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline, metrics = time.monotonic() + 120, out / "metrics.jsonl"
        while time.monotonic() < deadline and child.poll() is None:
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=120)[1]
    assert child.returncode == 130, said
    last = said.splitlines()[-1]
    assert last.startswith("jaxrl-evolve: SIGINT after ")
    assert last.endswith(f"of 256,000 steps; continue with: jaxrl-evolve resume {out}")
    assert "Traceback" not in said and (out / "curves.png").exists()
    reached = load(out).updates
    assert 20 <= reached < 4000 and not (out / "result.json").exists()
    assert run("resume", out, "--quiet") == 0
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [row["updates"] for row in rows] == list(range(10, 4001, 10))
    assert load(out).updates == 4000


def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "jaxrl_evolve", "train", "ppo", "--env", "CartPole-v2", "--out", "nowhere"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.startswith("jaxrl-evolve: there is no environment 'CartPole-v2'")
        and done.stderr.count("\n") == 1
    )
