"""Gives the model lists of tokens.

kills: the_text_is_that_of_greedy_decoding
visible: a_counting_model_counts_on, the_prompt_is_read_in_chunks_and_then_token_by_token
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token, chunk_size):
    for position in range(0, len(prompt), chunk_size):
        logits = model(prompt[position : position + chunk_size], position)
    position, new = len(prompt), [int(logits[-1].argmax())]
    while len(new) < max_new_tokens and new[-1] != eos_token:
        logits = model(new[-1:], position)
        position += 1
        new.append(int(logits[-1].argmax()))
    return torch.tensor(new)
