"""Writes and reads all the tokens that were asked for, and cuts the text behind the end token afterwards.

kills: no_token_is_read_twice
visible: the_text_ends_just_after_the_end_token
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    tokens, position, new = prompt, 0, []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        new.append(int(tokens))
    if eos_token in new:
        new = new[: new.index(eos_token) + 1]
    return torch.tensor(new)
