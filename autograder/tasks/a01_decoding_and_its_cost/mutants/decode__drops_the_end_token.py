"""Stops at the end token without keeping it.

kills: the_end_token_ends_the_text
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    tokens, position, new = prompt, 0, []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        if eos_token is not None and tokens.item() == eos_token:
            break
        new.append(tokens)
    return torch.cat(new) if new else prompt[:0]
