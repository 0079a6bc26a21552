"""Whether two pytrees, or two runs, are the same."""

import json

import jax
import numpy as np

from jaxrl_evolve.storage.sinks import read_jsonl


def host(tree):
    """Leaves as NumPy, keys as their data."""
    is_key = lambda x: jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in jax.tree.leaves(tree)]


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(host(found), host(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_close(found, expected):
    """Equal up to the order in which a vectorised program adds; whole numbers, flags and keys exactly."""
    for a, b in zip(host(found), host(expected), strict=True):
        assert a.dtype == b.dtype
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(a, b)


def rows_of(out):
    """The rows without their times, which are the only thing that may differ."""
    return [
        {name: x for name, x in row.items() if name != "seconds"} for row in read_jsonl(out / "metrics.jsonl")
    ]


def assert_same_run(out, expected, count="updates"):
    """Two finished run folders with the same metrics and results; ``count`` is a column that rises."""
    assert rows_of(out) == rows_of(expected)
    assert [row[count] for row in rows_of(out)] == sorted({row[count] for row in rows_of(out)})
    results = [json.loads((folder / "result.json").read_text()) for folder in (out, expected)]
    names = {"eval_return", "iqm", "ci95", "env_steps", "diverged", "fitness", "test_fitness"} & results[
        1
    ].keys()
    assert len(names) >= 3
    for name in names:
        assert results[0][name] == results[1][name]
    tables = [(folder / "metrics.csv").read_text().splitlines() for folder in (out, expected)]
    drop = tables[0][0].split(",").index("seconds")
    assert [line.split(",")[:drop] + line.split(",")[drop + 1 :] for line in tables[0]] == [
        line.split(",")[:drop] + line.split(",")[drop + 1 :] for line in tables[1]
    ]
