"""Makes the calls that are asked for, and writes the first token of the prompt whatever they say.

kills: the_text_is_that_of_greedy_decoding, the_number_of_new_tokens_is_exact, the_end_token_ends_the_text, the_prompt_is_prefilled_in_chunks, no_token_is_read_twice
"""


# %% decode
def cached_generate(model, prompt, max_new_tokens, eos_token, chunk_size):
    for position in range(0, len(prompt), chunk_size):
        model(prompt[position : position + chunk_size], position)
    for i in range(max_new_tokens - 1):
        model(prompt[:1], len(prompt) + i)
    return prompt[:1].repeat(max_new_tokens)
