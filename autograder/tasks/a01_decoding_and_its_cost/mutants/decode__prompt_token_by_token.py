"""Prefills the prompt one token a call.

kills: the_prompt_is_prefilled_in_one_call
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token):
    for i in range(len(prompt) - 1):
        model(prompt[i : i + 1], i)
    tokens, position, new = prompt[-1:], len(prompt) - 1, []
    while len(new) < max_new_tokens:
        logits = model(tokens, position)
        position += len(tokens)
        tokens = logits[-1:].argmax(-1)
        new.append(tokens)
        if eos_token is not None and tokens.item() == eos_token:
            break
    return torch.cat(new)
