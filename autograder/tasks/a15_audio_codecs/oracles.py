"""What is expected, computed in the judge: one by one, without the ways of a good answer."""

from fractions import Fraction

import torch


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def nearest_of(frame, vectors, usable):
    """The number of the nearest usable vector, by comparing one after the other."""
    best, found = None, -1
    for k, vector in enumerate(vectors):
        distance = float((frame - vector).double().square().sum())
        if usable[k] and (best is None or distance < best - 1e-9):
            best, found = distance, k
    return found


def residual_codes(frame, books, count):
    """Codes of one frame, -1 from its count on."""
    rest, codes = frame.clone(), []
    for k, book in enumerate(books):
        if k >= count:
            codes.append(-1)
            continue
        codes.append(nearest_of(rest, book, torch.ones(len(book), dtype=torch.bool)))
        rest = rest - book[codes[-1]]
    return codes


def codebook_step(vectors, counts, sums, x, codes, decay, dead_below):
    """The three rules, code by code."""
    old, errors = vectors.clone(), []
    for k in range(len(vectors)):
        own = [x[i] for i in range(len(x)) if codes[i] == k]
        counts[k] = decay * counts[k] + (1 - decay) * len(own)
        sums[k] = decay * sums[k] + (1 - decay) * (sum(own) if own else 0)
    for i in range(len(x)):
        errors.append((-float((x[i] - old[codes[i]]).square().sum()), i))
    worst = [i for _, i in sorted(errors)]
    dead = [k for k in range(len(vectors)) if counts[k] < dead_below]
    for k, i in zip(dead, worst, strict=False):
        counts[k], sums[k] = dead_below, dead_below * x[i]
    for k in range(len(vectors)):
        if counts[k] > 0:
            vectors[k] = sums[k] / counts[k]
    return vectors, counts, sums


def balanced(gradients, weights, state, decay, limit):
    """The formula, sound by sound."""
    state, result = dict(state), None
    whole = sum(weights[name] for name in gradients)
    for name, gradient in gradients.items():
        norms = [float(one.double().square().sum()) ** 0.5 for one in gradient]
        total, count = state.get(name, (0.0, 0.0))
        state[name] = (decay * total + sum(norms) / len(norms), decay * count + 1)
        mean = state[name][0] / state[name][1]
        part = gradient * (limit if mean <= 0 else min(limit, weights[name] / mean / whole))
        result = part if result is None else result + part
    return result, state


def causal_outputs(x, weight, bias, stride, dilation):
    """(B, C', T): the sum, sample by sample."""
    kernel, outputs = weight.shape[-1], []
    for t in range(x.shape[-1] // stride):
        total = bias.expand(len(x), -1).clone()
        for j in range(kernel):
            at = t * stride + stride - 1 - (kernel - 1 - j) * dilation
            if at >= 0:
                total += x[..., at] @ weight[..., j].T
        outputs.append(total)
    return torch.stack(outputs, dim=-1)


NAMES_BYTES = 64  # of text in a state that cost nothing, for the names of a dict


def numbers_in(state):
    """How many float32 numbers a state could hold, whatever holds them: wide numbers, texts, keys, shapes."""
    texts, count = [], 0
    waiting = [state]
    while waiting:
        part = waiting.pop()
        if isinstance(part, torch.Tensor):
            count += max(1, part.numel(), part.numel() * part.element_size() // 4)
        elif isinstance(part, dict):
            texts += part.keys()
            waiting += part.values()
        elif isinstance(part, list | tuple) and part:
            waiting += part
        elif isinstance(part, str):
            texts.append(part)
        else:
            count += 1
    return count + max(0, sum(len(text.encode()) for text in texts) - NAMES_BYTES) // 4


def interval_of(codes, frequencies):
    """The ends of the interval that a message keeps."""
    low, high = Fraction(0), Fraction(1)
    for code, counts in zip(codes, frequencies, strict=True):
        edges = [sum(counts[:k]) for k in range(len(counts) + 1)]
        width = high - low
        low, high = (low + width * Fraction(edges[code + i], edges[-1]) for i in (0, 1))
    return low, high


def bits_by_search(low, high):
    """The first string of bits, shortest first, whose cell lies within."""
    count = 0
    while True:
        cell = Fraction(1, 1 << count)
        number = low // cell + (low % cell > 0)
        if number * cell + cell <= high:
            return [int(digit) for digit in bin(int(number))[2:].zfill(count)] if count else []
        count += 1
