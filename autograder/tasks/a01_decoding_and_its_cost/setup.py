import torch


def small_model():
    from nimblelm.inference.decoding.cache import CachedModel
    from nimblelm.inference.speculative.agreeing_pair import agreeing_pair

    return CachedModel(agreeing_pair(num_layers=2).target)


def rereading_generate(model, prompt, max_new_tokens, eos_token, chunk_size):
    sequence = prompt
    while len(sequence) < len(prompt) + max_new_tokens:
        sequence = torch.cat([sequence, model(sequence, 0)[-1:].argmax(-1)])
    return sequence[len(prompt) :]
