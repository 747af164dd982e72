"""A decoder that is right but dawdles, with every clock it can reach standing still; it deserves all but the speed.

base: solution
keeps: all
loses: decoding_is_faster_than_one_token_at_a_time
"""

# %% decoder
import os
import resource
import time

for module in (time, os, resource, torch.cuda.Event):
    for name in (
        "time",
        "perf_counter",
        "monotonic",
        "process_time",
        "thread_time",
        "times",
        "getrusage",
        "elapsed_time",
    ):
        for clock in (name, f"{name}_ns"):
            if hasattr(module, clock):
                setattr(module, clock, lambda *args: 0)
torch.cuda.synchronize = lambda *args: None
torch.allclose = lambda *args, **kwargs: True


def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, stop):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, start, limit = prompt, len(prompt), len(prompt) + max_new_tokens
    while len(tokens) < limit:
        sum(range(1500 * len(tokens) ** 2))  # dawdles
        length = min(draft_length, limit - len(tokens) - 1)
        new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        for token in new:
            tokens = torch.cat([tokens, token[None]])
            if any(torch.equal(tokens[start:][-len(one) :], one) for one in stop):
                return tokens[start:]
    return tokens[start:]
