"""Where several stop sequences are complete in a round, cuts behind the first of the list.

kills: a_stop_sequence_ends_it_where_it_is_first_complete, three_tokens_have_the_targets_joint_distribution
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, stop):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, start, limit = prompt, len(prompt), len(prompt) + max_new_tokens
    while len(tokens) < limit:
        length = min(draft_length, limit - len(tokens) - 1)
        new = speculative_round(target, draft, tokens, length, sampling, generator).tokens
        known, tokens = len(tokens), torch.cat([tokens, new])
        ends = {
            end: len(one)
            for one in stop
            for end in range(known + 1, len(tokens) + 1)
            if torch.equal(tokens[start:end][-len(one) :], one)
        }
        if ends:
            return tokens[start : next(iter(ends))]
    return tokens[start:]
