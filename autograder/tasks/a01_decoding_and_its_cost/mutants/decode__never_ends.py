"""Ignores the end token.

kills: the_end_token_ends_the_text
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    tokens, position, new = prompt, 0, []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        new.append(tokens)
    return torch.cat(new)
