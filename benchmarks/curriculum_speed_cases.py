"""What `curriculum_speed` times: the same training here and in the peers' own scripts, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

ENVS, STEPS, UPDATES = 32, 256, 4
"""Of an update, and updates of one timing."""
WALLS, SIZE, LIMIT, CAPACITY = 25, 13, 250, 4_000
HIDDEN, MEMORY, EPOCHS = 64, 256, 5
MORE_INPUTS = 25
"""Of the peers' networks: the third plane of what their agent sees, 5 x 5."""
HP = {
    "learning_rate": 1e-4,
    "gamma": 0.995,
    "gae_lambda": 0.98,
    "clip": 0.2,
    "entropy_coef": 1e-3,
    "max_grad_norm": 0.5,
}


class Case(NamedTuple):
    """A curriculum here and there.

    Attributes:
        peer: of whom.
        curriculum: ours, and its options.
        script: the peer's.
        settings: of the peer's script, beside `jaxued_settings` or `sfl_settings`.
        turns: whether each of its updates in a timing replays levels, in turn, where it draws this by ``replay_prob``: of a few updates the draws are
            another mixture every time, of updates that cost unequally. Empty where it draws nothing. ACCEL edits after every replay, whatever stands here.
        searched: the peer's environment steps of a timing in which nothing is learned, beyond its updates.
    """

    peer: str
    curriculum: str
    options: Mapping[str, str]
    script: str
    settings: Mapping[str, Any]
    turns: tuple[bool, ...] = ()
    searched: int = 0

    @property
    def updates(self) -> int:
        """Of the peer in a timing; ours has `UPDATES`."""
        return len(self.turns) or UPDATES

    @property
    def steps(self) -> int:
        """Environment steps of the peer in a timing, all that it plays."""
        return self.updates * ENVS * STEPS + self.searched


_OURS = {"capacity": str(CAPACITY), "min_fill": "0.0", "score": "max-mc"}
_REPLAY = {"level_buffer_capacity": CAPACITY, "minimum_fill_ratio": 0.0}
CASES = {
    "DR": Case("jaxued", "random", {}, "maze_dr", {}),
    "PLR": Case(
        "jaxued", "plr", {**_OURS, "replay_probability": "0.5"}, "maze_plr",
        {**_REPLAY, "replay_prob": 0.5, "exploratory_grad_updates": True}, (False, True) * (UPDATES // 2),
    ),
    "robust PLR": Case(
        "jaxued", "robust-plr", {**_OURS, "replay_probability": "0.5"}, "maze_plr",
        {**_REPLAY, "replay_prob": 0.5, "exploratory_grad_updates": False}, (False, True) * UPDATES,
    ),
    "ACCEL": Case(
        "jaxued", "accel", _OURS, "maze_plr",
        {**_REPLAY, "replay_prob": 0.8, "exploratory_grad_updates": False, "use_accel": True, "num_edits": 20},
        (False, *(True, True) * UPDATES),
    ),
    "SFL": Case(
        "sfl", "sfl", {"screened": "400", "again": "16", "kept": "128"}, "sfl", {}, searched=ENVS * UPDATES * STEPS,
    ),
}  # fmt: skip
"""By name. Of ACCEL both play as many mutants as levels of the buffer, and a quarter as many new ones."""


def jaxued_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the script's own command line has by default, but for what is set here."""
    return {
        "project": "p", "run_name": "r", "group_name": "g", "seed": 0, "mode": "train", "checkpoint_save_interval": 0,
        "eval_freq": UPDATES, "eval_num_attempts": 1, "eval_levels": ["SixteenRooms"],
        "lr": HP["learning_rate"], "max_grad_norm": HP["max_grad_norm"], "num_updates": 30_000, "num_steps": STEPS,
        "num_train_envs": ENVS, "num_minibatches": 1, "gamma": HP["gamma"], "epoch_ppo": EPOCHS, "clip_eps": HP["clip"],
        "gae_lambda": HP["gae_lambda"], "entropy_coeff": HP["entropy_coef"], "critic_coeff": 0.5,
        "score_function": "MaxMC", "staleness_coeff": 0.3, "temperature": 0.3, "topk_k": 4, "prioritization": "rank",
        "buffer_duplicate_check": True, "use_accel": False, "num_edits": 5, "agent_view_size": 5, "n_walls": WALLS,
        **settings,
    }  # fmt: skip


def sfl_settings() -> dict[str, Any]:
    """What the script's configuration files have, but for sizes: as many steps are searched as learned from."""
    return {
        "SEED": 0, "GROUP_NAME": "g", "ENTITY": "", "PROJECT": "p", "WANDB_MODE": "disabled", "SAVE_PATH": None,
        "BATCH_SIZE": ENVS * UPDATES, "NUM_BATCHES": 1, "ROLLOUT_STEPS": STEPS, "NUM_TO_SAVE": 128,
        "env": {"N_WALLS": WALLS, "AGENT_VIEW_SIZE": 5, "EVAL_NUM_ATTEMPTS": 1, "EVAL_LEVELS": ["SixteenRooms"]},
        "learning": {
            "NUM_ENVS_FROM_SAMPLED": ENVS // 2, "NUM_ENVS_TO_GENERATE": ENVS // 2, "LR": HP["learning_rate"], "NUM_ENVS": ENVS,
            "NUM_STEPS": STEPS, "EVAL_FREQ": UPDATES, "TOTAL_TIMESTEPS": 3e8, "NUM_CHECKPOINTS": 1, "UPDATE_EPOCHS": EPOCHS,
            "NUM_MINIBATCHES": 1, "GAMMA": HP["gamma"], "GAE_LAMBDA": HP["gae_lambda"], "CLIP_EPS": HP["clip"],
            "SCALE_CLIP_EPS": False, "ENT_COEF": HP["entropy_coef"], "VF_COEF": 0.5, "MAX_GRAD_NORM": HP["max_grad_norm"],
            "ANNEAL_LR": True, "LAMBDA_SCHEDULE": False,
        },
    }  # fmt: skip
