"""Decodes one token at a time and lets the target read the last two tokens each time, so that it sees blocks.

kills: greedy_text_equals_plain_decoding, a_stop_sequence_ends_it_where_it_is_first_complete, the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_distribution, both_caches_hold_the_text, the_target_is_called_no_more_than_needed
visible: a_good_draft_saves_passes_of_the_target
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, stop):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    tokens, start = prompt, len(prompt)
    while len(tokens) < start + max_new_tokens:
        logits = target(tokens[-2:], max(len(tokens) - 2, 0))
        tokens = torch.cat([tokens, sample(probabilities(logits[-1], sampling), generator)[None]])
        if any(torch.equal(tokens[start:][-len(one) :], one) for one in stop):
            break
    return tokens[start:]
