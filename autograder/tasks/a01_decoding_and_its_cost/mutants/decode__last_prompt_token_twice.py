"""Prefills the whole prompt and then feeds its last token again, one position further.

kills: the_text_is_that_of_greedy_decoding, no_token_is_read_twice
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    model(prompt, 0)
    tokens, position, new = prompt[-1:], len(prompt), []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        new.append(tokens)
        if eos_token is not None and tokens.item() == eos_token:
            break
    return torch.cat(new)
