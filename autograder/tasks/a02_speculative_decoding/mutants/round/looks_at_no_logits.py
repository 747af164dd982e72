"""Makes the calls that are asked for, and drafts and keeps the first token of the text whatever they say.

kills: a_greedy_round_keeps_what_agrees, a_full_acceptance_yields_one_token_more, the_target_checks_the_block_in_one_pass, both_caches_stay_right_from_round_to_round, a_sampled_round_has_the_right_distribution, temperature_and_top_k_shape_both_distributions
"""


# %% round
def speculative_round(target, draft, tokens, draft_length, sampling, generator, draft_sampling=None):
    draft_sampling = sampling if draft_sampling is None else draft_sampling
    n = len(tokens)
    drafted = tokens[:1].repeat(draft_length)
    position = max(n - 2, 0)
    block = tokens[position:]
    for i in range(draft_length):
        draft(block, position)
        position += len(block)
        block = drafted[:1]
    target(torch.cat([tokens[-1:], drafted]), n - 1)
    return Round(torch.cat([drafted, tokens[:1]]), draft_length, drafted)
