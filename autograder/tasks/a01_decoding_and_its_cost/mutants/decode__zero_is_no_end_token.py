"""Takes end token 0 for none at all.

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
        if eos_token and tokens.item() == eos_token:
            break
    return torch.cat(new)
