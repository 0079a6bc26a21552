"""Settings of learners that compare the completions of one prompt: GRPO, SPPO, DPO and kin are settings of one machine."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters

Loss = Literal["clip", "reinforce", "nft", "sppo", "dpo", "ipo", "srpo", "imitate"]
POLICY_GRADIENTS = ("clip", "reinforce")
"""Losses that weigh log-probabilities by an advantage."""
PAIRS = ("dpo", "ipo", "srpo")
"""Losses of pairs."""


@hyperparameters
class SequenceHyperparameters:
    """What a sweep can vary without compiling anew: traced float32 scalars."""

    learning_rate: Annotated[Scalar, AtLeast(0.0)] = 3e-4
    """Step size."""
    learning_rate_end: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Fraction of the learning rate left at the horizon."""
    clip: Annotated[Scalar, AtLeast(0.0)] = 0.2
    """Range of the probability ratio, where the loss is `clip`."""
    eta: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Step of the multiplicative weights that SPPO regresses on."""
    eta_end: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """Fraction of it left at the horizon; `eta_schedule` says how it gets there."""
    beta: Annotated[Scalar, Above(0.0)] = 0.1
    """Weight of the divergence from the reference that DPO and IPO stand for, and both of SRPO's policies."""
    draft_weight: Annotated[Scalar, Between(0.0, 1.0)] = 0.5
    """Share of the loss of drafts in SRPO's; the rest is that of revisions."""
    opponent_mixture: Annotated[Scalar, Between(0.0, 1.0)] = 0.125
    """How much of the reference's logits is in those of the mixture, where `mixed` has some answer by it."""
    mixture: Annotated[Scalar, Between(0.0, 1.0)] = 1.0
    """How much of the reference is in what log-ratios are to; the rest is the policy that answered. Between 0 and 1, IPO is INPO (Zhang et al. 2024)."""
    past_mixture: Annotated[Scalar, Between(0.0, 1.0)] = 0.0
    """How much of the past policy is in what log-ratios are to, beside the reference; with `mixture` at most 1."""
    label_noise: Annotated[Scalar, Between(0.0, 0.5)] = 0.0
    """How often labels are taken to be wrong: above 0, DPO is its conservative form."""
    kl_coef: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Weight of the divergence from the reference, where `kl` adds it to the loss."""
    entropy_coef: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Weight of the entropy bonus."""
    reference_rate: Annotated[Scalar, Between(0.0, 1.0)] = 0.01
    """What of the policy goes into the reference with each update, where that is `average`."""
    max_grad_norm: Annotated[Scalar, AtLeast(0.0, infinite=True)] = 1.0
    """Largest norm of the whole gradient."""
    adam_eps: Annotated[Scalar, Above(0.0)] = 1e-8
    """Adam's denominator offset."""


@dataclasses.dataclass(frozen=True)
class SequenceConfig:
    """Static settings: a change compiles anew."""

    loss: Loss = "clip"
    """What is minimised: the clipped surrogate, the plain score function, NFT's supervised form, or regressions and classifications of log-ratios, in `srpo` also of completions as
    revisions of others; `imitate` is the log-likelihood of what a
    teacher did (`info["taught"]`)."""
    group: Annotated[int, AtLeast(2)] = 8
    """Neighbouring environments that answer the same prompt."""
    completions: Annotated[int, AtLeast(1)] = 1
    """Whole episodes of each environment and rollout that are learned from, the first ones."""
    worth: Literal["reward", "preference"] = "reward"
    """What a completion is worth: its return, or the share of its group that it is preferred to."""
    advantage: Literal["standard", "mean", "leave_one_out", "half"] = "standard"
    """What the worth is compared with: the group's mean, in units of its standard deviation or not, the mean of the others, or one half, which is what a win
    rate is against oneself."""
    aggregate: Literal["sequence", "token", "constant", "sum"] = "sequence"
    """How the loss of tokens adds up: to a mean over each completion and then over these, to a mean over all tokens, to a sum over each completion
    in units of the rollout's length (Dr.GRPO), or to that sum itself."""
    baseline: Literal["half", "logz", "pairwise"] = "half"
    """What SPPO takes for the logarithm of the partition function; `pairwise` needs none, and is REBEL."""
    eta_schedule: Literal["line", "root"] = "line"
    """How SPPO's step falls to `eta_end` of it at the horizon: in a straight line, or like the inverse root of the time, as its bound has it."""
    axes: tuple[float, ...] = ()
    """Weights of the criteria that are watched, return, effort and length unless a watch of one's own has others: then the advantage is found on each by itself,
    and these are added up (after GPRL, arXiv 2605.18721). Without weights it is found on the worth."""
    balance: Literal["none", "wrong", "spread"] = "none"
    """How NFT weighs prompts by how often they are answered right."""
    logp_reduction: Literal["sum", "mean"] = "sum"
    """Whether the log-ratio of a completion is the sum or the mean over its tokens."""
    reference: Literal["rollout", "first", "average", "every", "stages"] = "rollout"
    """The policy that log-ratios are to: the one that answered, the first one, the moving average, or the newest of every `reference_every` updates, or of every
    stage, of which there are `reference_every` in the horizon."""
    reference_every: Annotated[int, AtLeast(1)] = 10
    """Updates between two references, or stages of the horizon."""
    kl: Literal["none", "reinforce", "reward_to_go", "half_square"] = "none"
    """How the divergence from the reference is added to the loss: not, or by one of three estimators whose gradient is right."""
    past: Literal["none", "before", "every"] = "none"
    """A second earlier policy that is kept: none, the one before the last update, or the newest of every `past_every` updates."""
    past_every: Annotated[int, AtLeast(1)] = 20
    """Updates between two of these."""
    extragradient: bool = False
    """Whether every second update is made from the policy before the update ahead of it, on what the policy after that answers (EGPO)."""
    mixed: Literal["none", "half", "all", "past"] = "none"
    """Who of a group does not answer by the policy, but by a mixture of it and the reference, token by token: nobody; the second half, with whom the first half is
    compared, and of whom nothing is learned (Nash-MD); or all (IPO-MD). With `past` the second half answers by the policy before, and the last change of win rates
    is expected once more (optimistic weights)."""
    preference: str = "max_reward"
    """Who prefers: the name of an oracle with numbers, and what is done to it, such as `flips:0.3` or `bt:1+length_hack:0.1`."""
    soft: bool = False
    """Whether the oracle tells its probability instead of drawing a label."""
    check_oracle: bool = True
    """Whether the oracle is tried on a thousand pairs before anything compiles."""
    epochs: Annotated[int, AtLeast(1)] = 1
    """Passes over each rollout."""
    minibatches: Annotated[int, AtLeast(1)] = 1
    """Gradient steps per pass, each on as many groups."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Rule of the gradient steps; either clips the gradient's norm first."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """The policy's network; its critic is not trained."""

    def __post_init__(self) -> None:
        check(self, "learner")
        if self.kl != "none" and self.reference == "rollout":
            raise ValueError(
                f"kl is {self.kl!r}, but reference is 'rollout', from which the policy does not differ before it learns; the reference must be another"
            )
        if self.kl != "none" and (self.loss == "imitate" or self.mixed == "all"):
            what = "loss is 'imitate'" if self.loss == "imitate" else "mixed is 'all'"
            raise ValueError(
                f"kl is {self.kl!r}, but {what}, so what is learned from was not drawn by the policy, and the divergence would be another; kl must be 'none'"
            )
        if self.loss == "imitate":
            for name, given, must in (("mixed", self.mixed, "none"), ("worth", self.worth, "reward")):
                if given != must:
                    raise ValueError(
                        f"{name} is {given!r}, but loss is 'imitate', where a teacher answers and nothing is compared; it must be {must!r}"
                    )
        if self.mixed in ("half", "all") and self.reference == "rollout":
            raise ValueError(
                f"mixed is {self.mixed!r}, but reference is 'rollout', of which there is nothing to mix in; the reference must be another"
            )
        if self.mixed == "half" and (self.group % 2 or not self.asks or self.loss in PAIRS):
            raise ValueError(
                f"mixed is 'half' with group {self.group}, worth {self.worth!r} and loss {self.loss!r}; halves are compared with each other, so the group must be even, "
                "worth 'preference' and the loss none of pairs"
            )
        self._check_past()
        self._check_drawn_by_the_policy()
        if self.loss == "srpo" and self.reference == "rollout":
            raise ValueError(
                "reference is 'rollout', but loss is 'srpo', where drafts would learn nothing in the first step on each rollout; the reference must be another"
            )
        if self.loss == "srpo" and self.group * self.completions % 2:
            raise ValueError(
                f"group is {self.group} with completions {self.completions}, but loss is 'srpo', where the completions of a group are taken two by two; one of both must be even"
            )
        if self.axes and self.loss not in POLICY_GRADIENTS:
            raise ValueError(
                f"axes is {self.axes}, but the loss {self.loss} reads no advantage; axes must be empty, or the loss one of {', '.join(POLICY_GRADIENTS)}"
            )
        if self.loss == "nft" and self.worth != "reward":
            raise ValueError(
                f"worth is {self.worth!r}, but the loss nft learns from what is right; it must be 'reward'"
            )

    def _check_drawn_by_the_policy(self) -> None:
        if self.mixed == "all" and self.loss in (*POLICY_GRADIENTS, "nft"):
            raise ValueError(
                f"mixed is 'all', but loss is {self.loss!r}, whose gradient is that of what the policy itself drew; the loss must be a regression, such as 'ipo'"
            )
        steps, fresh = (
            self.epochs * self.minibatches,
            "loss is 'reinforce'" if self.loss == "reinforce" else f"kl is {self.kl!r}",
        )
        if steps > 1 and (self.loss == "reinforce" or self.kl != "none"):
            raise ValueError(
                f"epochs is {self.epochs} and minibatches {self.minibatches}, but {fresh}, whose gradient is that of the policy that answered, and without a ratio "
                "wrong after the first step; both must be 1"
            )

    def _check_past(self) -> None:
        if self.mixed == "past" and (self.group % 2 or self.group < 4):
            raise ValueError(
                f"mixed is 'past' with group {self.group}; halves of at least two are compared, so the group must be even and at least 4"
            )
        needs = {"extragradient is True": self.extragradient, "mixed is 'past'": self.mixed == "past"}
        for setting, there in needs.items():
            if there and (self.loss != "ipo" or self.past != "before"):
                raise ValueError(
                    f"{setting} with loss {self.loss!r} and past {self.past!r}; it is a step of mirror descent from the policy before, so loss must be 'ipo' and past 'before'"
                )
        if all(needs.values()):
            raise ValueError("extragradient is True and mixed is 'past'; one of them looks ahead already")

    @property
    def asks(self) -> bool:
        """Whether the oracle is asked."""
        return self.loss in PAIRS or (self.worth == "preference" and not self.axes)
