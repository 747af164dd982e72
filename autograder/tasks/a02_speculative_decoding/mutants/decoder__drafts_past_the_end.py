"""Drafts full blocks to the end and cuts off what is too much.

kills: the_number_of_tokens_is_exact
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, limit = prompt, len(prompt) + max_new_tokens
    while len(tokens) < limit:
        new = speculative_round(target, draft, tokens, draft_length, sampling, generator).tokens
        ends = [] if eos_token is None else (new == eos_token).nonzero()
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return tokens[len(prompt) : limit]
