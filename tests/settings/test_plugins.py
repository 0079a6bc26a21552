"""Names that installed distributions offer."""

import importlib.metadata
import warnings

import pytest

from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
from jaxrl_evolve.command.main import main
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.notices import Notice


@pytest.fixture
def offered(monkeypatch):
    """Two algorithms of a distribution: one has the name of a built-in one, the other cannot be imported."""
    points = [
        importlib.metadata.EntryPoint(name, "no_such_module:X", plugins.ALGORITHMS) for name in ("ppo", "own")
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == plugins.ALGORITHMS else [])
    plugins._shadowed.cache_clear()
    yield
    plugins._shadowed.cache_clear()


def test_a_name_of_the_librarys_own_cannot_be_taken_and_that_is_said(offered):
    with pytest.warns(
        Notice, match="algorithm 'ppo' is the library's; the one that a package offers by that name"
    ):
        assert find_algorithm("ppo") is BUILTIN_ALGORITHMS["ppo"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_algorithm("dqn")


def test_a_broken_package_does_not_hide_the_others(offered, capsys):
    assert main(["list", "algorithms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted([*BUILTIN_ALGORITHMS, "own"])
    (own,) = (line for line in lines if line.startswith("  own "))
    assert "cannot be used: algorithm 'own': its entry point failed with ModuleNotFoundError" in own
