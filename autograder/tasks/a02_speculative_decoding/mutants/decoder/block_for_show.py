"""Decodes one token at a time, with the draft alone where it is the target again, then has a block read for show.

kills: greedy_text_equals_plain_decoding, a_stop_sequence_ends_it_where_it_is_first_complete, the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_distribution, the_target_is_called_no_more_than_needed
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, stop):
    start, tokens = len(prompt), prompt
    first = prompt[:-1] if start > 1 else prompt
    same = torch.equal(target(first, 0), draft(first, 0))
    while len(tokens) < start + max_new_tokens:
        logits = (draft if same else target)(tokens[-1:], len(tokens) - 1)[-1]
        tokens = torch.cat([tokens, sample(probabilities(logits, sampling), generator)[None]])
        if any(torch.equal(tokens[start:][-len(one) :], one) for one in stop):
            break
    draft(tokens[start - 1 : -1], start - 1)
    shown = max(len(tokens) - 3, start - 1)
    target(tokens[shown:-1], shown)
    return tokens[start:]
