"""Keeps the whole text and reads it again from position 0 for each token.

kills: no_token_is_read_twice, the_prompt_is_prefilled_in_one_call
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    tokens, position, new = prompt, 0, []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        tokens = torch.cat([tokens, logits[-1:].argmax(-1)])
        new.append(tokens[-1:])
        if eos_token is not None and new[-1].item() == eos_token:
            break
    return torch.cat(new)
