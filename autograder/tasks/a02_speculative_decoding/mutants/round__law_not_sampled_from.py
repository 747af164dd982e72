"""Returns the draft law at temperature 1, not the one it drew from (as transformers did, issue 47932).

kills: temperature_and_top_k_shape_both_laws
"""


# %% round
def speculative_round(target, draft, tokens, draft_length, sampling, generator):
    n = len(tokens)
    position = max(n - 2, 0)
    block, drafted, draft_probs = tokens[position:], [], []
    for _ in range(draft_length):
        logits = draft(block, position)[-1]
        q = probabilities(logits, sampling)
        position += len(block)
        block = sample(q, generator)[None]
        drafted.append(block)
        draft_probs.append(probabilities(logits, Sampling(1.0, sampling.top_k)) if sampling.temperature else q)
    target_probs = probabilities(target(torch.cat([tokens[-1:], *drafted]), n - 1), sampling)
    if draft_length == 0:
        return Round(sample(target_probs, generator), 0, tokens[:0])

    draft_tokens, draft_probs = torch.cat(drafted), torch.stack(draft_probs)
    uniforms = torch.rand(draft_length, generator=generator)
    num_accepted = accept(target_probs, draft_probs, draft_tokens, uniforms)
    following = sample(next_token_probs(target_probs, draft_probs, num_accepted), generator)
    return Round(torch.cat([draft_tokens[:num_accepted], following[None]]), num_accepted, draft_tokens)
