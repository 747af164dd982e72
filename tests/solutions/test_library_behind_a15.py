"""The library's own parts, called with an exercise's arguments in a few lines, earn less than half of it."""

import pytest

from autograder.checks import load_task
from tests.solutions.test_answers_in_process import TASKS, failed_checks

ASSIGNMENT = "a15_audio_codecs"
STAND_INS = {
    "nearest": """
from nimblelm.nn.vector_quantization import nearest_codes, straight_through
def quantize(x, vectors, usable, mask):
    codes = nearest_codes(x.nan_to_num(), vectors)
    return codes, vectors[codes], (x - vectors[codes]).square().mean()
def gradient(x, quantized, mask, upstream, beta):
    x = x.clone().requires_grad_()
    loss = (straight_through(x, quantized) * upstream).sum() + beta * (x - quantized).square().mean()
    return torch.autograd.grad(loss, x)[0]
""",
    "residual": """
from nimblelm.audio.codec.residual_vq import ResidualVQ
from nimblelm.nn.vector_quantization import nearest_codes
def quantizer(books):
    made = ResidualVQ(len(books), 2, books[0].shape[1])
    for one, vectors in zip(made.books, books):
        one.vectors = vectors
    return made
def encode(x, books, counts):
    codes = quantizer(books).encode(x.mT).mT
    return codes, sum(math.log2(len(book)) for book in books) * counts.numel()
def decode(codes, books):
    return quantizer(books).decode(codes.mT.clamp(min=0)).mT
""",
    "codebook": """
from nimblelm.nn.codebook_update import CodebookUpdate
from nimblelm.nn.vector_quantization import Codebook
def update(vectors, counts, sums, x, codes, decay, dead_below):
    book = Codebook(*vectors.shape)
    book.vectors = vectors.clone()
    made = CodebookUpdate(book, decay, dead_below)
    made.counts, made.sums = counts, sums
    made.step(x, codes)
    return book.vectors, made.counts, made.sums
""",
    "balance": """
from nimblelm.audio.codec.balancer import Balancer
def balance(gradients, weights, state, decay, limit):
    made = Balancer(weights, decay=decay)
    made.sums = {name: one[0] for name, one in state.items()}
    made.counts = {name: one[1] for name, one in state.items()}
    x = torch.zeros_like(next(iter(gradients.values()))).requires_grad_()
    y = x * 1
    made.backward({name: (y * one).sum() for name, one in gradients.items()}, y)
    return x.grad, {name: (made.sums[name], made.counts[name]) for name in made.sums}
""",
    "streaming": """
from nimblelm.audio.codec.causal_conv import CausalConv1d
def push(chunk, state, weight, bias, stride, dilation):
    layer = CausalConv1d(weight.shape[1], len(weight), weight.shape[2], stride, dilation)
    layer.conv.weight.data, layer.conv.bias.data = weight, bias
    stream = {} if state is None else {layer: state}
    return layer(chunk, stream).detach(), stream[layer]
""",
    "bits": """
from itertools import accumulate
from nimblelm.audio.codec.arithmetic_coding import arithmetic_decode, arithmetic_encode
def cumulative(counts):
    return [0, *accumulate(counts)]
def shortest_bits(low, high, whole):
    return arithmetic_encode([(1, [0, low, high, whole])])
def encode_codes(codes, frequencies):
    return arithmetic_encode((code, cumulative(counts)) for code, counts in zip(codes, frequencies))
def decode_codes(bits, frequencies):
    decoder = arithmetic_decode(bits)
    next(decoder)
    return [decoder.send(cumulative(counts)) for counts in frequencies]
""",
}


@pytest.mark.parametrize("exercise", STAND_INS)
def test_a_part_of_the_library_earns_less_than_half(exercise: str) -> None:
    checks = load_task(TASKS / ASSIGNMENT).checks[exercise]
    failed = failed_checks(ASSIGNMENT, exercise, STAND_INS[exercise])
    earned = sum(one.points for one in checks if one.name not in failed)
    assert earned < sum(one.points for one in checks) / 2, failed
