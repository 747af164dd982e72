"""Takes the end token 0 for none.

kills: the_end_token_stops_it_anywhere_in_a_block
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, limit = prompt, len(prompt) + max_new_tokens
    while len(tokens) < limit:
        length = min(draft_length, limit - len(tokens) - 1)
        new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        ends = (new == eos_token).nonzero() if eos_token else []
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return tokens[len(prompt) :]
