"""Which language model is asked, how, and at most how often."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Annotated, Literal
from urllib.parse import urlsplit

from jaxrl_evolve.generation.post import LOOPBACK
from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check

Format = Literal["json_schema", "json_object", "fenced"]
FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "fenced")
"""How an answer is made to be JSON, from what holds the model most strictly to what every server knows: its schema is enforced; it is
some JSON object; it is text with a fenced block.
"""


@dataclasses.dataclass(frozen=True)
class ChatConfig:
    """A server that speaks OpenAI's chat completions, and what it may cost."""

    model: str = ""
    """Name of the model, as the server knows it."""
    endpoint: str = ""
    """Address up to `/v1`, such as `http://localhost:8000/v1`; empty for what the variable `endpoint_variable` names holds."""
    endpoint_variable: str = "OPENAI_BASE_URL"
    """Environment variable with the address, where `endpoint` is empty."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key; empty for a server that asks for none. The key stands nowhere else."""
    plain_http: bool = False
    """Whether the key may go over an unencrypted connection to another machine."""
    format: Literal["auto", "json_schema", "json_object", "fenced"] = "auto"
    """How the answer is made to be JSON; `auto` goes down from json_schema where the server does not know it."""
    temperature: Annotated[float, AtLeast(0.0)] | None = None
    """Of the model; the server's own by default."""
    max_tokens: Annotated[int, AtLeast(1)] = 8192
    """Tokens of an answer, at most."""
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls that."""
    oversample: Annotated[int, AtLeast(1)] = 2
    """How many times as many specs are asked for as are wanted; the most novel are taken."""
    repairs: Annotated[int, Between(0, 2)] = 2
    """How often the model may mend what does not hold, told nothing but the faults of its fields."""
    attempts: Annotated[int, AtLeast(1)] = 4
    """Attempts at a request that is answered with 429 or 5xx, or not in time."""
    timeout: Annotated[float, Above(0.0)] = 120.0
    """Seconds for an attempt."""
    backoff: Annotated[float, AtLeast(0.0)] = 1.0
    """Seconds before the second attempt, give or take a half; twice as many before each further one."""
    most_backoff: Annotated[float, AtLeast(0.0)] = 60.0
    """Seconds before an attempt, at most, also where the server asks for more."""
    deadline: Annotated[float, Above(0.0)] = 3600.0
    """Seconds that all requests of a run may take together."""
    answer_bytes: Annotated[int, AtLeast(1)] = 2**20
    """Bytes that an answer may have."""
    max_calls: Annotated[int, AtLeast(0)] = 200
    """Requests in a run, each attempt counted."""
    total_tokens: Annotated[int, AtLeast(0)] = 2_000_000
    """Tokens in a run, of requests and of answers."""
    max_cost: Annotated[float, AtLeast(0.0, infinite=True)] = math.inf
    """What a run may cost, in the currency of the prices."""
    prompt_price: Annotated[float, AtLeast(0.0)] = 0.0
    """Of a million tokens of requests."""
    answer_price: Annotated[float, AtLeast(0.0)] = 0.0
    """Of a million tokens of answers."""
    mode: Literal["live", "record", "replay", "auto"] = "auto"
    """`live` asks; `record` asks and writes down; `replay` reads only, and what is missing is an error; `auto` reads, and asks for what
    is missing and writes it down."""
    replay_by: Literal["content", "sequence"] = "content"
    """Whether an answer is found by what was asked, or by how many were asked for before."""
    answers: str = ""
    """File of answers; `model_answers.jsonl` in the run's folder by default."""

    def __post_init__(self) -> None:
        check(self)
        if math.isfinite(self.max_cost) and not (self.prompt_price or self.answer_price):
            raise ValueError(
                f"max_cost is {self.max_cost:g}, but prompt_price and answer_price are 0: one of them must not be"
            )
        if self.replay_by == "sequence" and self.mode == "auto":
            raise ValueError(
                "replay_by is 'sequence' and mode 'auto'; answers found by their number can be replayed only: mode must be replay"
            )


def address(config: ChatConfig) -> str:
    """Where requests go.

    Raises:
        ValueError: nobody says where; or it is no address that a key can be sent to.
    """
    variable = config.endpoint_variable
    source, url = (
        ("endpoint", config.endpoint) if config.endpoint else (variable, os.environ.get(variable, "").strip())
    )
    if not url:
        raise ValueError(
            f"endpoint is empty, and the environment variable {variable or '(none)'}, which endpoint_variable names, is not set: one "
            "must be the address of a server, such as http://localhost:8000/v1"
        )
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ValueError(f"{source} is no address; it must be one such as http://localhost:8000/v1") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ValueError(f"{source} is no address; it must be one such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # Not shown: what stands there may be a key.
        raise ValueError(
            f"{source} has more than an address in it: a key belongs in the variable that key_variable names"
        )
    if config.key_variable and parts.scheme == "http" and host not in LOOPBACK and not config.plain_http:
        raise ValueError(
            f"{source} is http://{host}…, by which the key would be readable on its way: it must be https, key_variable empty, or "
            "plain_http True"
        )
    return url.rstrip("/") + "/chat/completions"
