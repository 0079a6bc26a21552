"""Times Hugging Face's ``generate`` with its cache, run by the interpreter of its own virtual environment.

    python benchmarks/sequence_speed_peer.py make FOLDER SHAPE
    python benchmarks/sequence_speed_peer.py time FOLDER PROMPTS LIMIT THREADS REPEATS

Imports nothing of jaxrl_evolve. ``make`` writes a model of Llama's kind with the shape (JSON, as `transformers.LlamaConfig` reads it) and weights from a fixed seed; no
completion of it ends early, since the logit of token 1 is 0 throughout. ``time`` reads prompts (JSON, lists of one length), and prints a JSON object: seconds of each
repeat, and the tokens that were drawn. The most probable token is taken, in float32, without gradients.
"""

import json
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def make(folder: str, shape: str) -> None:
    torch.manual_seed(0)
    # With the initialisation's small weights every position would say much the same.
    model = LlamaForCausalLM(LlamaConfig(**json.loads(shape), initializer_range=0.2))
    with torch.no_grad():
        model.lm_head.weight[1] = 0.0
    model.save_pretrained(folder)


def measured(folder: str, prompts: str, limit: int, threads: int, repeats: int) -> None:
    torch.set_num_threads(threads)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    given = torch.tensor(json.loads(prompts))
    chosen = {
        "do_sample": False,
        "use_cache": True,
        "max_new_tokens": limit,
        "min_new_tokens": limit,
        "pad_token_id": 0,
    }
    seconds, drawn = [], given
    with torch.inference_mode():
        for i in range(repeats + 1):  # the first is a warm-up
            began = time.perf_counter()
            drawn = model.generate(given, attention_mask=torch.ones_like(given), **chosen)
            if i:
                seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds, "tokens": drawn[:, given.shape[1] :].tolist()}))


def main() -> None:
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        measured(*sys.argv[2:4], *map(int, sys.argv[4:]))


if __name__ == "__main__":
    main()
