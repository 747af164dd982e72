"""The interactives of chapter 1: moved by keys, they show the numbers that lib gives."""

import statistics

import pytest

from nimblelm.measure.latency import RequestTimes, throughput
from nimblelm.measure.memory import kv_cache_bytes
from nimblelm.measure.roofline import DecoderShape, Roofline, pass_work

CHAPTER = "ch01_decoding_and_its_cost.html"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def press(visit, control, keys):
    """Focus a control and press keys; how far it moved."""
    control.focus()
    for key in keys:
        visit.page.keyboard.press(key)
    return sum({"ArrowRight": 1, "ArrowDown": 1, "ArrowLeft": -1, "ArrowUp": -1}[key] for key in keys)


def choose(visit, group, keys):
    """Move a group of radio buttons from the chosen one."""
    press(visit, group.locator("input:checked"), keys)


def bytes_shown(widget, name: str) -> float:
    number, unit = widget.locator(f".fact-{name}").inner_text().split()
    return float(number) * UNITS[unit]


def test_memory_of_a_cache_is_that_of_the_formula(reader):
    with reader.open(CHAPTER) as visit:
        data = visit.embedded("kv-memory-explorer")
        widget = visit.page.locator('[data-widget="kv-memory-explorer"]')
        model, precision, context, batch = data["start"]
        choose(visit, widget.locator("fieldset").nth(0), ["ArrowRight"])
        choose(visit, widget.locator("fieldset").nth(1), ["ArrowRight"])
        sliders = widget.locator("input[type=range]")
        context += press(visit, sliders.nth(0), ["ArrowRight"] * 3 + ["ArrowLeft"])
        batch += press(visit, sliders.nth(1), ["ArrowLeft"])
        element, scale = data["bytes_per_element"][precision + 1]
        shape, tokens = data["shapes"][model + 1], data["contexts"][context]
        sizes = {"total": (tokens, data["batches"][batch]), "sequence": (tokens, 1), "token": (1, 1)}
        for name, (count, texts) in sizes.items():
            want = kv_cache_bytes(
                **shape, num_tokens=count, batch_size=texts, bytes_per_element=element, scale_bytes=scale
            )
            assert bytes_shown(widget, name) == pytest.approx(want, rel=0.01), name
    assert visit.errors == []


@pytest.mark.parametrize("phase", [0, 1])
def test_the_point_under_the_roof_is_that_of_lib(reader, phase):
    with reader.open(CHAPTER) as visit:
        data = visit.embedded("roofline-explorer")
        widget = visit.page.locator('[data-widget="roofline-explorer"]')
        before = widget.locator(".roofline-point").get_attribute("cx")
        choose(visit, widget.locator("fieldset"), ["ArrowRight"] * phase)
        sliders = widget.locator("input[type=range]")
        batch = data["start"][1] + press(visit, sliders.nth(0), ["ArrowRight"] * 4)
        context = data["start"][2] + press(visit, sliders.nth(1), ["ArrowRight"] * 2)
        texts, tokens = data["batches"][batch], data["contexts"][context]
        roof = Roofline(data["roof"]["peak_flops"], data["roof"]["bandwidth_bytes"])
        shape = DecoderShape(**data["shape"])
        work = pass_work(shape, texts, tokens, 0) if phase else pass_work(shape, texts, 1, tokens - 1)
        assert widget.locator(".fact-intensity").inner_text() == f"{work.intensity:.2f}"
        assert widget.locator(".fact-attainable").inner_text() == f"{roof.attainable(work.intensity) / 1e9:.2f} GFLOP/s"
        assert widget.locator(".fact-seconds").inner_text() == f"{1e3 * roof.seconds(work):.2f} ms"
        bound = "memory" if work.intensity < roof.ridge else "arithmetic"
        assert widget.locator(".fact-bound").inner_text() == bound
        assert widget.locator(".roofline-point").get_attribute("cx") != before
    assert visit.errors == []


def answers_of(data: dict, policy: dict) -> list[RequestTimes]:
    """lib's view of the recorded passes: when each token of each request came."""
    times: dict[int, list[float]] = {}
    for step in policy["steps"]:
        for name, _, _, emits in step["shares"]:
            times.setdefault(name, []).extend([step["end_s"]] if emits else [])
    return [RequestTimes(request["arrival_s"], times[i]) for i, request in enumerate(data["requests"])]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_timeline_tells_what_happened_in_each_pass(reader, which):
    with reader.open(CHAPTER) as visit:
        data = visit.embedded("batching-timeline")
        widget = visit.page.locator('[data-widget="batching-timeline"]')
        choose(visit, widget.locator("fieldset"), ["ArrowRight"] * which)
        policy = data["policies"][which]
        answers = answers_of(data, policy)
        shown = {name: float(widget.locator(f".fact-{name}").inner_text().split()[0])
                 for name in ("ttft", "tpot", "gap", "throughput")}  # fmt: skip
        assert shown["ttft"] == pytest.approx(1e3 * statistics.mean(a.ttft_s for a in answers), abs=0.051)
        assert shown["tpot"] == pytest.approx(1e3 * statistics.mean(a.tpot_s for a in answers), abs=0.051)
        assert shown["gap"] == pytest.approx(1e3 * max(a.longest_gap_s for a in answers), abs=0.051)
        assert shown["throughput"] == pytest.approx(throughput(answers), abs=0.051)
        slider = widget.locator("input[type=range]")
        for move in (["ArrowRight"] * 3, ["ArrowLeft"]):
            press(visit, slider, move)
        step = policy["steps"][2]
        assert widget.locator(".fact-tokens").inner_text() == str(sum(share[2] for share in step["shares"]))
        said = widget.locator(".stepper-say").inner_text()
        assert said.startswith(f"Pass 3 of {len(policy['steps'])}")
        assert said.count("request") == len(step["shares"])
        assert widget.locator(".timeline-box.is-current").count() == len(step["shares"])
        visit.page.keyboard.press("End")
        assert f"Pass {len(policy['steps'])} of" in widget.locator(".stepper-say").inner_text()
    assert visit.errors == []


def test_without_scripts_tables_stand_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        for name in ("kv-memory-explorer", "roofline-explorer", "batching-timeline"):
            assert visit.page.locator(f'[data-widget="{name}"] table').is_visible()
