"""Draws long texts from the draft alone, has the target read them in blocks for show, and speculates otherwise.

kills: three_tokens_have_the_targets_joint_law
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, limit = prompt, len(prompt) + max_new_tokens
    while len(tokens) < limit:
        length = min(draft_length, limit - len(tokens) - 1)
        if sampling != GREEDY and max_new_tokens > 3:
            new = speculative_round(draft, draft, tokens, length, sampling, generator).tokens
            target(torch.cat([tokens[-1:], new[:-1]]), len(tokens) - 1)
        else:
            new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        ends = [] if eos_token is None else (new == eos_token).nonzero()
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return tokens[len(prompt) :]
