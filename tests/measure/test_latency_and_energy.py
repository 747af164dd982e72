"""Hand-worked cases of latency, and the energy table's sums and ratios."""

import pytest

from nimblelm.measure.energy import DEVELOPMENT_IMPACT, DEVELOPMENT_TOTAL, Site
from nimblelm.measure.latency import RequestTimes, throughput


def test_latency_of_a_request_worked_by_hand():
    times = RequestTimes(1.0, [3.0, 3.5, 5.5])
    assert (times.ttft_s, times.tpot_s, times.longest_gap_s) == (2.0, 1.25, 2.0)
    assert RequestTimes(0.0, [2.0]).tpot_s == 0
    assert throughput([times, RequestTimes(0.5, [1.0, 2.0])]) == 5 / 5.0
    with pytest.raises(ValueError, match="in order"):
        RequestTimes(1.0, [0.5])
    with pytest.raises(ValueError, match="0 requests"):
        throughput([])


def test_the_rows_of_the_slide_lack_a_group():
    for column in ("gpu_hours", "energy_mwh", "num_runs", "carbon_t", "water_kl"):
        missing = getattr(DEVELOPMENT_TOTAL, column) - sum(getattr(row, column) for row in DEVELOPMENT_IMPACT)
        assert missing > 0, column


def test_a_site_gives_the_table_back():
    for row in (*DEVELOPMENT_IMPACT, DEVELOPMENT_TOTAL):
        site = Site.of(row)
        energy_mwh: float = row.gpu_hours * site.gpu_kw / 1e3
        assert site.footprint(energy_mwh) == pytest.approx((row.energy_mwh, row.carbon_t, row.water_kl))


def test_inference_energy_worked_by_hand():
    site = Site(gpu_kw=0.5, carbon_kg_per_kwh=0.4, water_l_per_kwh=2.0)
    assert site.joules_per_token(1000.0) == 0.5
    # 7.2e9 tokens of half a joule: 3.6e9 J = 1 MWh
    assert site.inference(7.2e9, 1000.0) == pytest.approx((1.0, 0.4, 2.0))
    assert site.days_until_inference_equals(10.0, 7.2e9, 1000.0) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="not above 0"):
        site.joules_per_token(0.0)
    with pytest.raises(ValueError, match="not above 0"):
        site.days_until_inference_equals(1.0, 0.0, 1.0)
