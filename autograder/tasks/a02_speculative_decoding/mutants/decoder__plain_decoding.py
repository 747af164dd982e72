"""Decodes one token at a time and calls it speculative.

kills: greedy_text_equals_plain_decoding, the_end_token_stops_it_anywhere_in_a_block, the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_law, the_target_is_called_no_more_than_needed
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, limit = prompt, len(prompt) + max_new_tokens
    while len(tokens) < limit:
        length = 0
        new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        ends = [] if eos_token is None else (new == eos_token).nonzero()
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return tokens[len(prompt) :]
