"""Judges two drafted tokens and keeps the others whatever they are.

kills: a_sampled_round_has_the_right_law
"""


# %% round
def speculative_round(target, draft, tokens, draft_length, sampling, generator):
    n = len(tokens)
    position = max(n - 2, 0)
    block, drafted, draft_probs = tokens[position:], [], []
    for _ in range(draft_length):
        q = probabilities(draft(block, position)[-1], sampling)
        position += len(block)
        block = sample(q, generator)[None]
        drafted.append(block)
        draft_probs.append(q)
    target_probs = probabilities(target(torch.cat([tokens[-1:], *drafted]), n - 1), sampling)
    if draft_length == 0:
        return Round(sample(target_probs, generator), 0, tokens[:0])

    draft_tokens, draft_probs = torch.cat(drafted), torch.stack(draft_probs)
    uniforms = torch.rand(draft_length, generator=generator)
    if sampling.temperature:
        uniforms[2:] = 0
    num_accepted = int(accept(target_probs, draft_probs, draft_tokens, uniforms))
    following = sample(next_token_probs(target_probs, draft_probs, num_accepted), generator)
    return Round(torch.cat([draft_tokens[:num_accepted], following[None]]), num_accepted, draft_tokens)
