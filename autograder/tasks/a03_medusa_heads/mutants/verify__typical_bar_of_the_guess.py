"""Takes the bar of the law after the guess.

kills: typical_guesses_lie_above_the_entropy_dependent_bar
visible: typical_guesses_are_kept
"""


# %% verify
def matching_path(tokens, choices, paths):
    best = paths[0, :1]
    for path in paths:
        kept = 1
        while kept < len(path) and path[kept] >= 0 and tokens[path[kept]] == choices[path[kept - 1]]:
            kept += 1
        if kept > len(best):
            best = path[:kept]
    return best


def typical_path(tokens, probs, paths, epsilon, delta):
    entropy = torch.special.entr(probs).sum(-1)
    bar = (delta * torch.exp(-entropy)).clamp(max=epsilon)
    best, best_score = paths[0, :1], (1, 1.0)
    for path in paths:
        kept, likelihood = 1, 1.0
        while kept < len(path) and path[kept] >= 0:
            parent = path[kept - 1]
            p = float(probs[parent, tokens[path[kept]]])
            if p <= bar[path[kept]]:
                break
            kept, likelihood = kept + 1, likelihood * p
        if (kept, likelihood) > best_score:
            best, best_score = path[:kept], (kept, likelihood)
    return best
