"""The house keeps its plan: rooms import downwards only, tests mirror them, and no file or function outgrows a reader."""

from __future__ import annotations

from pathlib import Path

import pytest
import rooms


@pytest.mark.core
def test_no_room_imports_upwards_and_none_in_a_circle():
    plan = rooms.plan()
    assert plan.rooms <= set(rooms.ORDER)
    assert not rooms.upward(plan)
    assert not plan.circles


def test_an_upward_import_and_a_circle_would_be_seen(tmp_path):
    for name, text in {
        "jaxrl_evolve/settings/names.py": "def f():\n    from jaxrl_evolve.training import train\n",
        "jaxrl_evolve/training/train.py": "import jaxrl_evolve.settings.names\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    plan = rooms.plan(tmp_path)
    assert [(i.room, i.of, i.line) for i in rooms.upward(plan)] == [("settings", "training", 2)]
    assert plan.circles == [{"settings", "training"}]


@pytest.mark.core
def test_tests_mirror_the_rooms():
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/test_*.py")}
    assert folders <= rooms.plan().rooms | {"envs"}
