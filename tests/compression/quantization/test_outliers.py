"""LLM.int8(): exact outliers, 8 bits for the rest."""

import pytest
import torch

from nimblelm.compression.quantization.outliers import (
    llm_int8_product,
    outlier_features,
    vectorwise_int8_product,
)


def inputs(outlier: float = 60.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 64, generator=generator).clamp(-3, 3)
    x[:, 5] *= outlier
    x[4, 9] = -7.0
    return x, torch.randn(10, 64, generator=generator)


def error(got: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> float:
    exact = x.double() @ weight.double().T
    return ((got - exact).norm() / exact.norm()).item()


def test_the_integer_product_is_the_sum_of_rounded_products():
    x, weight = inputs()
    sx, sw = x.abs().amax(1) / 127, weight.abs().amax(1) / 127
    want = torch.zeros(12, 10)
    for t in range(12):
        for n in range(10):
            total = sum(round(float(x[t, k] / sx[t])) * round(float(weight[n, k] / sw[n])) for k in range(64))
            want[t, n] = total * sx[t] * sw[n]
    torch.testing.assert_close(vectorwise_int8_product(x, weight), want, rtol=1e-5, atol=1e-4)


def test_features_with_one_large_value_are_outliers():
    x, _ = inputs()
    assert outlier_features(x).nonzero().flatten().tolist() == [5, 9]
    assert outlier_features(x, 6.999).sum() == 2
    assert not outlier_features(x, 1e9).any()
    with pytest.raises(ValueError, match="threshold"):
        outlier_features(x, float("nan"))


def test_the_decomposition_saves_what_an_outlier_costs():
    x, weight = inputs()
    together, apart = vectorwise_int8_product(x, weight), llm_int8_product(x, weight)
    rest = x.clone()
    rest[:, [5, 9]] = 0
    exact_rest, part = rest.double() @ weight.double().T, apart - x[:, [5, 9]] @ weight[:, [5, 9]].T
    assert (part - exact_rest).norm() < 0.02 * exact_rest.norm()
    assert (apart - x.double() @ weight.double().T).norm() < 0.2 * (together - x.double() @ weight.double().T).norm()


def test_all_and_no_outliers():
    x, weight = inputs(1.0)
    x = x.clamp(-3, 3)
    assert torch.equal(llm_int8_product(x, weight), vectorwise_int8_product(x, weight))
    torch.testing.assert_close(llm_int8_product(x, weight, 1e-12), x @ weight.T)


def test_sums_beyond_int32_are_refused():
    row = torch.ones(1, 2**31 // 127**2 + 1)
    with pytest.raises(ValueError, match="133145 products do not fit into int32"):
        vectorwise_int8_product(row, row)
    assert float(vectorwise_int8_product(row[:, 1:], row[:, 1:])) == pytest.approx(133144)
