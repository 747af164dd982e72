"""The formulas against a counter of torch's own and against a cache's size; the measurements for their sense."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nimblelm.inference.decoding.cache import KVCache
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.measure.memory import kv_cache_bytes, most_sequences
from nimblelm.measure.roofline import (
    DecoderShape,
    Roofline,
    Work,
    copy_bandwidth,
    matmul_rate,
    matmul_work,
    measured_roofline,
    pass_work,
)

CONFIG = LlamaConfig(64, 32, 3, 4, 2, 48, max_seq_len=64)
MODEL = Llama(CONFIG).eval()
SHAPE = DecoderShape(sum(w.numel() for w in MODEL.parameters() if w.ndim == 2), 3, 4, 2, 8, bytes_per_element=4)


def counted_flops(batch: int, num_new: int, context: int) -> int:
    cache = KVCache.allocate(MODEL, 64, batch)
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        MODEL(torch.zeros(batch, num_new, dtype=torch.int64), cache.at(context, num_new))
    return counter.get_total_flops()


@pytest.mark.parametrize(("batch", "context"), [(1, 0), (1, 40), (3, 17)])
def test_flops_of_a_decode_pass_are_those_that_torch_counts(batch, context):
    assert pass_work(SHAPE, batch, 1, context).flops == counted_flops(batch, 1, context)


def test_flops_of_a_prefill_leave_out_the_masked_half():
    """torch counts every pair; of num_new * (num_new + 1) / 2 pairs more than half are seen."""
    masked = 4 * 3 * 4 * 8 * (20 * 19 // 2)
    assert pass_work(SHAPE, 1, 20, 10).flops == counted_flops(1, 20, 10) - masked


def test_bytes_are_the_weights_once_and_every_row_of_the_caches():
    for batch, num_new, context in ((1, 1, 0), (5, 1, 30), (2, 12, 7)):
        rows = KVCache.allocate(MODEL, context + num_new, batch).size_bytes
        assert pass_work(SHAPE, batch, num_new, context).num_bytes == 4 * SHAPE.num_weights + rows


def test_cache_bytes_are_those_of_a_cache():
    assert kv_cache_bytes(3, 2, 8, 50, 4, bytes_per_element=4) == KVCache.allocate(MODEL, 50, 4).size_bytes
    assert kv_cache_bytes(3, 2, 8, 50, 4, 1, scale_bytes=4) == 2 * 3 * 2 * 50 * 4 * (8 + 4)
    assert most_sequences(100, 30, 20) == 3
    assert most_sequences(20, 30, 20) == 0
    with pytest.raises(ValueError, match="negative"):
        kv_cache_bytes(3, 2, 8, -1)
    with pytest.raises(ValueError, match="not above 0"):
        most_sequences(1, 0, 0)


def test_the_roof_has_a_slope_a_ridge_and_a_top():
    roof = Roofline(peak_flops=1000.0, bandwidth_bytes=10.0)
    assert roof.ridge == 100
    assert roof.attainable(1) == 10
    assert roof.attainable(100) == roof.attainable(1e6) == 1000
    for work in (Work(50, 100), Work(1e6, 10)):
        assert roof.seconds(work) == pytest.approx(work.flops / roof.attainable(work.intensity))


def test_batching_raises_the_intensity_of_decoding_up_to_what_the_caches_allow():
    intensities = [pass_work(SHAPE, batch, 1, 32).intensity for batch in (1, 2, 8, 64, 4096)]
    assert intensities == sorted(intensities)
    per_sequence = pass_work(SHAPE, 1, 1, 32).flops / (SHAPE.row_bytes * 33)
    assert intensities[-1] < per_sequence
    assert intensities[-1] == pytest.approx(per_sequence, rel=0.1)


def test_products_count_each_operand_once():
    assert matmul_work(2, 3, 5, 4) == (60, 4 * (6 + 15 + 10))


def test_measurements_take_the_time_that_the_clock_says(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("nimblelm.measure.roofline.time.perf_counter", lambda: float(next(clock)))
    assert copy_bandwidth(4096) == 2 * 4096
    assert matmul_rate(2, 3, 5) == 60
    assert measured_roofline(4096, 4) == Roofline(128.0, 8192.0)


def test_a_pass_over_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        pass_work(SHAPE, 0, 1, 0)
