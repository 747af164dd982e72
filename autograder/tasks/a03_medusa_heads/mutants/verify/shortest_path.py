"""Keeps the shortest path, whatever the target says.

kills: the_longest_run_of_right_guesses_is_kept, the_first_guess_is_verified_too, ended_paths_accept_nothing, typical_guesses_lie_above_the_entropy_dependent_threshold, the_longest_typical_path_wins_then_the_likeliest
visible: a_wrong_first_guess_keeps_the_root_alone
"""


# %% verify
def matching_paths(tokens, choices, paths):
    return _for_each_tree(paths, lambda rows: _matching_path(tokens, choices, rows))


def typical_paths(tokens, probs, paths, epsilon, delta):
    return _for_each_tree(paths, lambda rows: _typical_path(tokens, probs, rows, epsilon, delta))


def _for_each_tree(paths, keep):
    return [keep(paths[paths[:, 0] == root]) for root in paths[:, 0].unique()]


def _matching_path(tokens, choices, paths):
    path = paths[(paths >= 0).sum(1).argmin()]
    return path[path >= 0]


def _typical_path(tokens, probs, paths, epsilon, delta):
    return _matching_path(tokens, probs, paths)
