"""Decodes one token at a time and lets the target read the last two tokens each time, so that it sees blocks.

kills: the_number_of_tokens_is_exact, three_tokens_have_the_targets_joint_law, the_target_is_called_no_more_than_needed
visible: a_good_draft_saves_passes_of_the_target
"""


# %% decoder
def speculative_generate(target, draft, prompt, max_new_tokens, draft_length, sampling, generator, eos_token):
    if len(prompt) > 1:
        target(prompt[:-1], 0)
        draft(prompt[:-1], 0)
    text = prompt
    while len(text) < len(prompt) + max_new_tokens:
        logits = target(text[-2:], max(len(text) - 2, 0))
        token = sample(probabilities(logits[-1], sampling), generator)
        text = torch.cat([text, token[None]])
        if eos_token is not None and int(token) == eos_token:
            break
    return text[len(prompt) :]
