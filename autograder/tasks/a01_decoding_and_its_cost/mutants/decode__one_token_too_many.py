"""Writes one token more than was asked for.

kills: the_number_of_new_tokens_is_exact
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    tokens, position, new = prompt, 0, []
    while len(new) <= max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        new.append(tokens)
        if eos_token is not None and tokens.item() == eos_token:
            break
    return torch.cat(new)
