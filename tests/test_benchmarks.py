"""The benchmark programs run at tiny size; what they measure is not asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_case_is_measured_without_a_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import throughput
    import throughput_cases as cases
    from throughput_table import read

    tiny = cases.Case("tiny", "CartPole-v1", 4, updates=2, rollout_length=8)
    monkeypatch.setitem(cases.SPEED, "cartpole-4", tiny)
    throughput.main(["--cases", "cartpole-4", "--repeats", "2", "--out", str(tmp_path)])
    rows = {row.measure: row for row in read(tmp_path / "throughput.csv")}
    rate = rows["steps_per_second"]
    assert rate.low is not None and rate.value is not None and rate.high is not None
    assert 0 < rate.low <= rate.value <= rate.high
    assert (rows["compile_seconds"].value or 0) > 0 and (rows["peak_mib"].value or 0) > 50
    assert "| tiny |" in (tmp_path / "throughput.md").read_text()


def test_measuring_a_case_again_replaces_its_rows_only(tmp_path: Path):
    from throughput_table import Row, merge, read, write_markdown

    path = tmp_path / "throughput.csv"
    merge(path, "breakout-64", [Row("breakout-64", "steps_per_second", "ours", 300.0, 200.0, 400.0)])
    merge(path, "cartpole-4", [Row("cartpole-4", "steps_per_second", "ours", 1.0)])
    merge(
        path,
        "cartpole-4",
        [Row("cartpole-4", "steps_per_second", s, x) for s, x in (("ours", 6.0), ("peer", 4.0))],
    )
    assert [(row.case, row.side, row.value) for row in read(path)] == [
        ("cartpole-4", "ours", 6.0),
        ("cartpole-4", "peer", 4.0),
        ("breakout-64", "ours", 300.0),
    ]
    write_markdown(path, tmp_path / "report.md")
    report = (tmp_path / "report.md").read_text()
    assert "| 6 | 4 | 1.50 |" in report
    assert "300 (200 to 400)" in report
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.md", "throughput.csv"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peer", "nowhere", "--peer-python", "python"], "has no ppo.py"),
        (["--peer-python", "python"], "only of use together"),
        (["--repeats", "0"], "must be at least 1"),
        (["--cases", "pong"], "invalid choice"),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    import throughput

    with pytest.raises(SystemExit) as error:
        throughput.parse(words)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_the_loop_without_resets_never_resets():
    import jax
    import jax.numpy as jnp
    import numpy as np
    import throughput_worker as worker

    from jaxrl_envs import make

    env = make("CartPole-v1")
    venv = worker.without_resets(env, 3)
    state = venv.reset(jax.random.key(0), env.params)
    step = jax.jit(venv.step)
    ended = np.zeros(3)
    for i in range(40):  # pushing one way ends every episode within a dozen steps
        before = state
        state, seen = step(jax.random.key(i), state, jnp.ones((3,), jnp.int32), env.params)
        np.testing.assert_array_equal(state.obs, seen.next_obs)
        assert (state.episode_length == before.episode_length + 1).all()
        ended += np.asarray(state.first)
    assert (ended > 1).all()
