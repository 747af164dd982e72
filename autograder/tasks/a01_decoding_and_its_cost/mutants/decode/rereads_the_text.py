"""Keeps the whole text and reads it again, chunk by chunk, for each token.

kills: no_token_is_read_twice, the_prompt_is_prefilled_in_chunks
visible: the_prompt_is_read_in_chunks_and_then_token_by_token
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token, chunk_size):
    text, end = prompt, len(prompt) + max_new_tokens
    while len(text) < end and (len(text) == len(prompt) or text[-1].item() != eos_token):
        for position in range(0, len(text), chunk_size):
            logits = model(text[position : position + chunk_size], position)
        text = torch.cat([text, logits[-1:].argmax(-1)])
    return text[len(prompt) :]
