"""What is expected, computed in the judge: path by path and node by node, without the ways of a good answer."""

import itertools
import math

import torch


def log_softmax(rng, frames, size, sharp=2.0):
    """(frames, size) float64 log-probabilities."""
    return (sharp * torch.randn(frames, size, generator=rng(), dtype=torch.float64)).log_softmax(-1)


def collapsed(path, blank):
    """The transcript of a path."""
    return [label for i, label in enumerate(path) if label != blank and (i == 0 or path[i - 1] != label)]


def states_of(labels, blank):
    return [blank, *itertools.chain.from_iterable((label, blank) for label in labels)]


def added(numbers):
    """log of the sum of exponentials."""
    top = max(numbers, default=-math.inf)
    return top if top == -math.inf else top + math.log(sum(math.exp(x - top) for x in numbers))


def ways_into(states, s, blank):
    """The states from which a path comes into state s."""
    ways = [s, s - 1] if s else [s]
    if s >= 2 and states[s] != blank and states[s] != states[s - 2]:
        ways.append(s - 2)
    return ways


def forward_nodes(log_probs, labels, known, blank):
    """(alpha, loss), node after node."""
    rows, states = log_probs.tolist(), states_of(labels, blank)
    alpha = [[-math.inf] * len(states) for _ in rows]
    for t, row in enumerate(rows):
        for s, label in enumerate(states):
            if any(frame == t and said != label for frame, said in known):
                continue
            if t == 0:
                alpha[t][s] = row[label] if s < 2 else -math.inf
            else:
                alpha[t][s] = added([alpha[t - 1][w] for w in ways_into(states, s, blank)]) + row[label]
    return torch.tensor(alpha, dtype=torch.float64), -added(alpha[-1][-2:])


def loss_by_paths(log_probs, labels, known, blank):
    """-log of the sum over every path there is."""
    rows, scores = log_probs.tolist(), []
    for path in itertools.product(range(len(rows[0])), repeat=len(rows)):
        if collapsed(path, blank) == list(labels) and all(path[frame] == said for frame, said in known):
            scores.append(sum(row[label] for row, label in zip(rows, path, strict=True)))
    return -added(scores)


def backward_nodes(log_probs, labels, blank):
    """beta without the frame's own probability, node after node."""
    rows, states = log_probs.tolist(), states_of(labels, blank)
    size = len(states)
    beta = [[-math.inf] * size for _ in rows]
    beta[-1][-2:] = [0.0] * min(2, size)
    for t in range(len(rows) - 2, -1, -1):
        for s in range(size):
            ways = [w for w in range(s, min(s + 3, size)) if s in ways_into(states, w, blank)]
            beta[t][s] = added([beta[t + 1][w] + rows[t + 1][states[w]] for w in ways])
    return torch.tensor(beta, dtype=torch.float64)


def spans_of(row, length, blank):
    """(label, first, end, confidence) of an utterance's best path."""
    best = [max(range(row.shape[1]), key=lambda k, t=t: (float(row[t, k]), -k)) for t in range(length)]
    found, t = [], 0
    while t < length:
        end = t
        while end < length and best[end] == best[t]:
            end += 1
        if best[t] != blank:
            found.append((best[t], t, end, min(math.exp(float(row[i, best[t]])) for i in range(t, end))))
        t = end
    return found


def searched(log_probs, width, blank, follows=None, model=None, alpha=0.0, bonus=0.0):
    """Prefixes (p in a blank, p in a label, log p of the model) after every frame, one dictionary each."""
    kept, after = {(): (0.0, -math.inf, 0.0)}, []
    for row in log_probs.tolist():
        into = {}
        for prefix, (in_blank, in_label, said) in kept.items():
            into.setdefault(prefix, ([], [], said))[0].append(added([in_blank, in_label]) + row[blank])
            if prefix:
                into[prefix][1].append(in_label + row[prefix[-1]])
            for label in range(len(row)) if follows is None else follows(list(prefix)):
                if label == blank:
                    continue
                start = in_blank if prefix[-1:] == (label,) else added([in_blank, in_label])
                language = said + model(list(prefix))[label] if model is not None else 0.0
                into.setdefault((*prefix, label), ([], [], language))[1].append(start + row[label])
        summed = {p: (added(b), added(n), said) for p, (b, n, said) in into.items()}
        summed = {p: e for p, e in summed.items() if max(e[:2]) > -math.inf}
        ranked = sorted(summed, key=lambda p: (-(added(summed[p][:2]) + alpha * summed[p][2] + bonus * len(p)), p))
        kept = {prefix: summed[prefix] for prefix in ranked[:width]}
        after.append(kept)
    return after


def transcripts(kept, blank, follows, model, alpha, bonus):
    """(labels, score) of what may end, the best first."""
    found = []
    for prefix, (in_blank, in_label, said) in kept.items():
        if blank in follows(list(prefix)):
            language = said + model(list(prefix))[blank] if model is not None else 0.0
            found.append((list(prefix), added([in_blank, in_label]) + alpha * language + bonus * len(prefix)))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def common(prefixes):
    """The labels that all prefixes begin with."""
    shared = []
    for labels in zip(*prefixes, strict=False):
        if len(set(labels)) > 1:
            break
        shared.append(labels[0])
    return shared


def errors(found, wanted):
    """Levenshtein's distance."""
    table = {(i, 0): i for i in range(len(found) + 1)} | {(0, j): j for j in range(len(wanted) + 1)}
    for i, j in itertools.product(range(1, len(found) + 1), range(1, len(wanted) + 1)):
        same = table[i - 1, j - 1] + (found[i - 1] != wanted[j - 1])
        table[i, j] = min(same, table[i - 1, j] + 1, table[i, j - 1] + 1)
    return table[len(found), len(wanted)]


def numbers_in(state):
    """How many numbers a state holds: what lies in the memory of its tensors, not only what they show."""
    if isinstance(state, torch.Tensor):
        return max(state.numel(), state.untyped_storage().nbytes() // max(1, state.element_size()))
    if isinstance(state, dict):
        return sum(map(numbers_in, state.values()))
    if isinstance(state, (list, tuple)):
        return sum(map(numbers_in, state))
    return 1
