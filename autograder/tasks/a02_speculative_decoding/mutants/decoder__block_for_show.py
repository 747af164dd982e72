"""Decodes one token at a time, with the draft alone where it is the target again, then has a block read for show.

kills: greedy_text_equals_plain_decoding, the_end_token_stops_it_anywhere_in_a_block, the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_law, the_target_is_called_no_more_than_needed
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    start, text = len(prompt), prompt
    first = prompt[:-1] if start > 1 else prompt
    same = torch.equal(target(first, 0), draft(first, 0))
    while len(text) < start + max_new_tokens and (len(text) == start or int(text[-1]) != eos_token):
        law = probabilities((draft if same else target)(text[-1:], len(text) - 1)[-1], sampling)
        text = torch.cat([text, sample(law, generator)[None]])
    draft(text[start - 1 : -1], start - 1)
    shown = max(len(text) - 3, start - 1)
    target(text[shown:-1], shown)
    return text[start:]
