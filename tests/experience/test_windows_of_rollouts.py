"""Windows of a rollout against a loop over its steps."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.experience.windows import belonging, numbered, windows


def test_windows_end_with_the_episode_and_with_the_rollout():
    length, envs, ahead = 7, 3, 4
    rng = np.random.default_rng(0)
    ended = rng.random((length, envs)) < 0.3
    x = rng.normal(size=(length, envs, 2)).astype(np.float32)
    steps = numbered(length, envs).reshape(-1)[jnp.asarray(rng.permutation(length * envs))]
    found = np.asarray(windows({"x": jnp.asarray(x)}, steps, ahead)["x"])
    belongs = np.asarray(belonging(jnp.asarray(ended), steps, ahead))
    assert found.shape == (ahead, length * envs, 2) and 0.2 < belongs.mean() < 0.8
    for i, step in enumerate(np.asarray(steps)):
        t, n = divmod(int(step), envs)
        for k in range(ahead):
            own = t + k < length and not ended[t : t + k, n].any()
            assert belongs[k, i] == own
            np.testing.assert_array_equal(found[k, i], x[min(t + k, length - 1), n])
