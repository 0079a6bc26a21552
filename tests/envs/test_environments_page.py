"""The environments page: its Python blocks run."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"


def section_of(name):
    return re.split(r"\n##+ ", PAGE.read_text().partition(f"\n### {name}\n")[2])[0]


def test_python_blocks_run(monkeypatch):
    from jaxrl_envs import registry

    monkeypatch.setattr(registry, "_registered", {})
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 7
    names = {"__name__": "environments_page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert registry.available("mine") == ["mine/Line-v0"]


def test_the_table_of_mazes_is_that_of_the_registry():
    from jaxrl_envs import available
    from jaxrl_envs.maze import FAMILIES, LAYOUTS

    section = section_of("maze")
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    told = {name: row for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    assert sorted(f"maze/{name}" for name in told) == sorted(available("maze"))
    numbers = lambda text: [int(x.replace(",", "")) for x in text.split(", ")]
    for row in rows:
        names, sizes, limits = re.findall(r"`([\w-]+)`", row[0]), numbers(row[2]), numbers(row[3])
        for i, name in enumerate(names):
            size, limit = sizes[min(i, len(sizes) - 1)], limits[min(i, len(limits) - 1)]
            if name in LAYOUTS:
                assert (size, limit) == (13, 250)
            else:
                family = FAMILIES[name]
                assert (size, limit) == (family.size, family.max_steps or 2 * (family.size + 2) ** 2)


def test_the_table_of_token_tasks_is_that_of_the_registry():
    from jaxrl_envs.token import TASKS

    section = section_of("token")
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    told = {re.findall(r"`([\w-]+)`", row[0])[0]: row for row in rows}
    assert list(told) == list(TASKS)
    for name, (_, example, arms, others) in told.items():
        task = TASKS[name]
        knob, held_out, values = task.difficulty.knob, task.difficulty.held_out, task.difficulty.arms
        assert arms.strip() == f"`{knob}` {', '.join(map(str, values))}; {held_out}"
        defaults = re.findall(r"`(\w+)=([^`]+)`", others)
        assert {knob, *(option for option, _ in defaults)} == {*task.ranges}
        assert all(
            float(eval(value)) == pytest.approx(float(getattr(task.knobs, option)))
            for option, value in defaults
        )
        if "`" in example:
            prompt, *answer = (
                task.vocabulary.tokens(text.replace("…", "")) for text in re.findall("`([^`]+)`", example)
            )
            assert len(prompt) > 4 and answer
