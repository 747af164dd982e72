"""Causal convolutions: no future, chunks that add up, and what is refused."""

import pytest
import torch

from nimblelm.audio.codec.causal_conv import PAD_MODES, CausalConv1d, CausalConvTranspose1d, padded


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("mode", PAD_MODES)
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (3, 1, 4), (8, 4, 1), (5, 5, 1), (1, 1, 1)])
@torch.no_grad()
def test_chunks_give_what_the_whole_gives(mode, kernel, stride, dilation):
    conv = CausalConv1d(3, 4, kernel, stride, dilation, pad_mode=mode).double()
    x, stream = random(2, 3, 60), {}
    chunks = [conv(part, stream) for part in x.split([20, 20, 5, 10, 5] if stride == 5 else [20, 4, 12, 24], dim=-1)]
    torch.testing.assert_close(torch.cat(chunks, -1), conv(x), atol=1e-12, rtol=0)


@torch.no_grad()
def test_output_t_depends_on_inputs_up_to_its_stride():
    conv = CausalConv1d(1, 1, 6, 3).double()
    x = random(1, 1, 30).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(conv(x)[0, 0, 4], x)
    assert gradient[0, 0].nonzero()[:, 0].tolist() == list(range(9, 15))  # S t + S - 1 = 14, six inputs


@torch.no_grad()
def test_the_transposed_one_undoes_the_lengths_and_streams():
    for kernel, stride, bias in ((8, 4, True), (4, 2, False), (3, 3, True), (7, 3, True)):
        conv = CausalConvTranspose1d(4, 2, kernel, stride, bias=bias).double()
        x, stream = random(2, 4, 12), {}
        whole = conv(x)
        assert whole.shape[-1] == 12 * stride
        chunks = [conv(part, stream) for part in x.split([1, 5, 1, 1, 4], -1)]
        torch.testing.assert_close(torch.cat(chunks, -1), whole, atol=1e-12, rtol=0)


def test_every_begun_stride_gives_an_output():
    conv = CausalConv1d(1, 1, 8, 4)
    assert [conv(torch.zeros(1, 1, n)).shape[-1] for n in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]


def test_padding_mirrors_repeats_or_is_silent():
    x = torch.tensor([[[1.0, 2, 3]]])
    assert padded(x, 2, 1, "constant").tolist() == [[[0, 0, 1, 2, 3, 0]]]
    assert padded(x, 2, 1, "reflect").tolist() == [[[3, 2, 1, 2, 3, 2]]]
    assert padded(x, 2, 1, "replicate").tolist() == [[[1, 1, 1, 2, 3, 3]]]
    assert padded(x, 4, 0, "reflect").tolist() == [[[0, 0, 3, 2, 1, 2, 3]]]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"pad_mode 'zeros'"):
        CausalConv1d(1, 1, 3, pad_mode="zeros")
    with pytest.raises(ValueError, match=r"stride 4"):
        CausalConv1d(1, 1, 3, 4)
    with pytest.raises(ValueError, match=r"leaves gaps"):
        CausalConvTranspose1d(1, 1, 3, 4)
    with pytest.raises(ValueError, match=r"chunk of 5 samples"):
        CausalConv1d(1, 1, 4, 2)(torch.zeros(1, 1, 5), {})
    with pytest.raises(ValueError, match=r"first chunk, 2 samples"):
        CausalConv1d(1, 1, 7, pad_mode="reflect")(torch.zeros(1, 1, 2), {})
    with pytest.raises(ValueError, match=r"no samples"):
        padded(torch.zeros(1, 1, 0), 1, 0, "constant")


def test_a_chunk_that_cannot_be_convolved_leaves_the_stream_as_it_was():
    layer, stream = CausalConv1d(1, 2, 5), {}
    x = torch.randn(1, 1, 12, generator=torch.Generator().manual_seed(0))
    first = layer(x[..., :7], stream)
    with pytest.raises(RuntimeError):
        layer(x[..., 7:].double(), stream)
    assert torch.allclose(torch.cat([first, layer(x[..., 7:], stream)], -1), layer(x), atol=1e-6)


@pytest.mark.parametrize("layer", [CausalConv1d(1, 1, 3), CausalConvTranspose1d(1, 1, 4, 2)])
def test_an_empty_chunk_is_refused_at_any_time(layer):
    stream = {}
    for _ in range(2):
        with pytest.raises(ValueError, match="has no"):
            layer(torch.zeros(1, 1, 0), stream)
        layer(torch.ones(1, 1, 4), stream)
