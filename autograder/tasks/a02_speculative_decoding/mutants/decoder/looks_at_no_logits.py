"""Fills both caches with the first token of the prompt, whatever the models say.

kills: greedy_text_equals_plain_decoding, a_stop_sequence_ends_it_where_it_is_first_complete, the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_distribution, both_caches_hold_the_text, the_target_is_called_no_more_than_needed
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, stop):
    text = torch.cat([prompt, prompt[:1].repeat(max_new_tokens)])
    for model in (target, draft):
        if len(prompt) > 1:
            model(prompt[:-1], 0)
        for i in range(len(prompt) - 1, len(text) - 1):
            model(text[i : i + 1], i)
    return text[len(prompt) :]
