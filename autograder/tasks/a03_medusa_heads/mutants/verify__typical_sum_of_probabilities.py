"""Prefers, of equally long paths, the one with the largest sum of probabilities.

kills: the_longest_typical_path_wins_then_the_likeliest
visible: of_long_paths_the_likeliest_is_kept
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
            if p <= bar[parent]:
                break
            kept, likelihood = kept + 1, likelihood + p
        if (kept, likelihood) > best_score:
            best, best_score = path[:kept], (kept, likelihood)
    return best
