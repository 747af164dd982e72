"""Takes the target's likeliest token where nothing is drafted, greedy or not.

kills: a_greedy_round_keeps_what_agrees
"""


# %% round
def speculative_round(target, draft, tokens, draft_length, sampling, generator):
    n = len(tokens)
    if draft_length == 0:
        return Round(target(tokens[-1:], n - 1).argmax(-1), 0, tokens[:0])
    position = max(n - 2, 0)
    block, drafted, draft_probs = tokens[position:], [], []
    for _ in range(draft_length):
        q = probabilities(draft(block, position)[-1], sampling)
        position += len(block)
        block = sample(q, generator)[None]
        drafted.append(block)
        draft_probs.append(q)
    target_probs = probabilities(target(torch.cat([tokens[-1:], *drafted]), n - 1), sampling)

    draft_tokens, draft_probs = torch.cat(drafted), torch.stack(draft_probs)
    uniforms = torch.rand(draft_length, generator=generator)
    num_accepted = int(accept(target_probs, draft_probs, draft_tokens, uniforms))
    following = sample(next_token_probs(target_probs, draft_probs, num_accepted), generator)
    return Round(torch.cat([draft_tokens[:num_accepted], following[None]]), num_accepted, draft_tokens)
