"""Ignores the draft length and proposes all the tokens that can still be used in one round.

kills: greedy_text_equals_plain_decoding, the_end_token_stops_it_anywhere_in_a_block, the_number_of_tokens_is_exact
visible: a_good_draft_saves_passes_of_the_target
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, limit = prompt, len(prompt) + max_new_tokens
    while len(tokens) < limit:
        length = limit - len(tokens) - 1
        new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        ends = [] if eos_token is None else (new == eos_token).nonzero()
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return tokens[len(prompt) :]
