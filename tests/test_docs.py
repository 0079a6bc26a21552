"""The README and the documentation say what is so: examples run, commands parse, links lead somewhere."""

import ast
import dataclasses
import re
import shlex
from pathlib import Path

import pytest
from rooms import ORDER, plan

from jaxrl_evolve.command.commands import find_command, overview
from jaxrl_evolve.command.listing import _SECTIONS
from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters
from jaxrl_evolve.learners.pqn_config import PQNConfig, PQNHyperparameters
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.learners.reward_model_config import PebbleConfig, RewardModelPPOConfig
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.spo_config import SPOConfig, SPOHyperparameters
from jaxrl_evolve.learners.spo_sac_config import SPOSACConfig, SPOSACHyperparameters
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.networks.decoder.sampling import Sampling
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.storage.folder import write_json
from jaxrl_evolve.storage.sinks import read_jsonl
from jaxrl_evolve.training.config import EvaluationConfig, SinkConfig, TrainConfig

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PACKAGE = ROOT / "tests" / "extension"
TINY = {"250_000": "1_024", "seeds=8": "seeds=2"}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def code_blocks():
    """Every Python block once, by the first page that has it; `tests/envs/test_environments_page.py` runs its own page's."""
    first = {}
    for page in PAGES:
        if page.name != "environments.md":
            for i, block in enumerate(blocks(page, "python")):
                first.setdefault(block, f"{page.stem}-{i}")
    return [pytest.param(block, id=name) for block, name in first.items()]


def commands():
    """Every line of a shell block that starts the command, continuation lines joined."""
    found = []
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if "jaxrl-evolve" in words:
                    words = words[words.index("jaxrl-evolve") + 1 :]
                    words = words[: words.index(">")] if ">" in words else words
                    found.append(pytest.param(words, id=f"{page.stem}: {' '.join(words)}"[:70]))
    return found


@pytest.mark.parametrize("block", code_blocks())
@pytest.mark.core("README-0")
def test_python_blocks_run_at_tiny_size(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for full, tiny in TINY.items():
        block = block.replace(full, tiny)
    assert "10_000_000" not in block or "train(" not in block
    exec(compile(block, "<documentation>", "exec"), {"__name__": "documentation"})
    if (tmp_path / "runs").exists():
        (row,) = read_jsonl(tmp_path / "runs" / "cartpole" / "metrics.jsonl")[:1]
        told = (DOCS / "ppo.md").read_text()
        assert not [n for n in row if f"`{n}`" not in told and n not in ("env_steps", "updates", "seconds")]


def test_the_example_of_the_readme_has_five_lines_at_most():
    (example,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 5
    assert all(full in example for full in TINY)  # else the test above runs it at full size


@pytest.mark.parametrize("words", commands())
def test_commands_parse(words, tmp_path, monkeypatch):
    name, *rest = words
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    for file in ("mine.json", "runs/mine/config.json"):  # what the commands before it have written
        write_json(tmp_path / file, TrainConfig.preset("ppo", "CartPole-v1").to_json())
    door, *_ = blocks(DOCS / "generated_environments.md", "json")
    (tmp_path / "door.json").write_text(door)
    game = next((ROOT / "envs" / "jaxrl_envs" / "specs" / "puzzles" / "games").glob("*.txt"))
    (tmp_path / "game.txt").write_text(game.read_text())
    command = find_command(name)
    assert f"  {command.usage} " in overview()
    if not {"--help", "corridor-reinforce", "corridor-q", "ta-strength"} & set(
        rest
    ):  # what a package offers is tested with the package
        assert command.parse(rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_switches_have_no_value(page):
    """`--quiet`, not `--quiet True`: in sentences as well, whose commands are not parsed."""
    assert not re.findall(r"--[\w.-]+[ =](?:True|False)\b", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = page.parent / target.partition("#")[0]
        results = ROOT / "benchmarks" / "results"
        if "://" in target or target.startswith("#") or (results in path.parents and not results.exists()):
            continue
        assert path.exists(), f"{page.name} links to {target}"


def test_what_may_be_added_is_told_wherever_one_looks_for_it():
    told, pages = find_command("list").summary, [DOCS / "where.md", DOCS / "extend.md"]
    assert not [title for title in _SECTIONS if title not in told]
    for page in pages:
        assert not [group for group in plugins.GROUPS.values() if group not in page.read_text()], page
    links = set(re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text()))
    assert not [
        page.name for page in PAGES[1:] if page.name != "index.md" and f"docs/{page.name}" not in links
    ]


def test_the_extension_page_shows_the_files_of_the_package():
    shown = re.findall(
        r'^```\w+ title="([^"]+)"\n(.*?)^```',
        (DOCS / "extend.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    files = {name: (PACKAGE / name).read_text() for name, _ in shown}
    assert dict(shown) == files
    modules = {
        f"src/corridor_rl/{name}.py"
        for name in (
            *("env", "objective", "family", "network", "representation", "learner", "replaying"),
            "curriculum",
        )
    }
    assert set(files) == {"pyproject.toml", *modules}
    assert len(files["src/corridor_rl/objective.py"].splitlines()) <= 60


@pytest.mark.parametrize("settings", [PPOConfig, PPOHyperparameters, NetworkConfig])
def test_the_ppo_page_names_every_setting(settings):
    text = (DOCS / "ppo.md").read_text()
    told = {name.rpartition(".")[2].replace("-", "_") for name in re.findall(r"`([\w.-]+)`", text)}
    names = {field.name for field in dataclasses.fields(settings)} - {"network"}
    assert not names - told


@pytest.mark.core
def test_the_map_of_rooms_is_that_of_the_house():
    text = (DOCS / "architecture.md").read_text().partition("## The rooms")[2]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = [name.rstrip("/") for cell in cells for name in re.findall(r"`([\w/]+)`", cell)]
    assert sorted(told) == sorted(plan().rooms)
    words = told[1:6]  # of equal rank
    assert [room for room in ORDER if room in told and room not in words] == [
        room for room in told if room not in words
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_pages_name_are_there(page):
    for path in re.findall(r"`((?:\w+/)+\w+\.py)`", page.read_text()):
        places = (ROOT, ROOT / "jaxrl_evolve", ROOT / "envs")
        assert any((place / path).is_file() for place in places), f"{page.name} names {path}"


def defined(path):
    """What a module has by name: functions, classes and values, its own or imported."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).rpartition(".")[2])
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_functions_that_pages_name_are_there(page):
    """`critic.next_memory`, `objectives/actor_critic.normalised`, `jaxrl_envs.check.check_env`."""
    missing = []
    for place, name in re.findall(r"`((?:\w+[/.])*[a-z_]+)\.(\w+)(?:\(\))?`", page.read_text()):
        path = place.removeprefix("jaxrl_evolve.").replace(".", "/") + ".py"
        modules = [module for folder in ("jaxrl_evolve", "envs") for module in (ROOT / folder).rglob(path)]
        if name in ("py", "json", "npz", "md", "csv", "png") or place in (
            "network",
            "evaluation",
            "learner",
            "runs",
            "sinks",
        ):  # files, settings
            continue
        if modules and not any(name in defined(module) for module in modules):
            missing.append(f"{place}.{name}")
    assert not missing


@pytest.mark.parametrize(
    ("page", "settings"),
    [
        ("rainbow", RainbowConfig),
        ("rainbow", RainbowHyperparameters),
        ("rainbow", ActionValuesConfig),
        ("pqn", PQNConfig),
        ("pqn", PQNHyperparameters),
        ("sac", SACConfig),
        ("sac", SACHyperparameters),
        ("spo", SPOConfig),
        ("spo", SPOHyperparameters),
        ("spo_sac", SPOSACConfig),
        ("spo_sac", SPOSACHyperparameters),
        ("reward_model", RewardModelPPOConfig),
        ("reward_model", PebbleConfig),
        ("sequences", DecoderConfig),
        ("sequences", SequenceConfig),
        ("sequences", SequenceHyperparameters),
        ("sequences", Sampling),
    ],
)
def test_the_page_of_an_algorithm_names_every_setting(page, settings):
    told = set(re.findall(r"`(\w+)`", (DOCS / f"{page}.md").read_text()))
    # What a learner has of the one inside is on the page of that one.
    of_ppo, of_sac = (PPOConfig, PPOHyperparameters), (SACConfig, SACHyperparameters)
    inside = {"spo": of_ppo, "spo_sac": of_sac, "reward_model": of_ppo + of_sac}
    told |= {field.name for kind in inside.get(page, ()) for field in dataclasses.fields(kind)}
    assert not {field.name for field in dataclasses.fields(settings)} - told


def test_the_page_for_newcomers_names_fields_that_are_there():
    fields = lambda *kinds: {field.name for kind in kinds for field in dataclasses.fields(kind)}
    known = {
        "hp": fields(PPOHyperparameters, RainbowHyperparameters),
        "learner": fields(PPOConfig, RainbowConfig),
        "learner.network": fields(NetworkConfig),
        "evaluation": fields(EvaluationConfig),
        "sinks": fields(SinkConfig),
    }
    text = (DOCS / "coming_from.md").read_text()
    told = re.findall(r"`(hp|learner|learner\.network|evaluation|sinks)\.(\w+)`", text)
    assert len(set(told)) > 30
    assert not [f"{part}.{name}" for part, name in told if name not in known[part]]
