"""The ledger of compression: every compressed model of Part II as a point, in one figure for all of its chapters."""

from typing import Any

from book_tools.results import RESULTS, benchmark_detail
from book_tools.widgets import show_widget

WORST = 1.0  # nats above fp32: what lies beyond would flatten the rest


def ledger_entries() -> dict[str, dict[str, Any]]:
    """Bytes, loss and speed of every model by name, from the part's benchmarks.

    A benchmark's speeds are over fp32 in its own run; they are shown as tokens a second of the first one's fp32.
    """
    entries = dict(benchmark_detail("bench_compression", "ledger"))
    fp32 = entries["fp32"]["tokens a second"]
    for benchmark in ("bench_pruning", "bench_distillation"):
        if not (RESULTS / "cpu" / f"{benchmark}.json").exists():
            continue
        gains = benchmark_detail(benchmark, "speed over fp32")
        for name, entry in benchmark_detail(benchmark, "ledger").items():
            rate = round(gains[name] * fp32, 1) if name in gains else None
            entries.setdefault(name, {**entry, "tokens a second": rate})
    return entries


def ledger_points() -> list[dict[str, Any]]:
    """The points in order of their bytes; `front` says that no other is at most as large and at least as good."""
    entries = {name: e for name, e in ledger_entries().items() if e["more than fp32"][0] < WORST}
    points = [
        {
            "name": name,
            "bytes": entry["bytes"],
            "loss": entry["loss"][0],
            "low": entry["loss"][0],
            "high": entry["loss"][0],
            "more": entry["more than fp32"][0],
            "rate": entry["tokens a second"],
        }
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["bytes"])
    ]
    for point in points:
        point["front"] = not any(
            other["bytes"] <= point["bytes"]
            and other["loss"] <= point["loss"]
            and (other["bytes"], other["loss"]) != (point["bytes"], point["loss"])
            for other in points
        )
    return points


def show_ledger() -> list[dict[str, Any]]:
    """Display the figure and give its points."""
    points = ledger_points()
    rows = "".join(
        f"<tr><td>{p['name']}</td><td>{p['bytes'] / 1e6:.1f}</td><td>{p['loss']:.3f}</td></tr>" for p in points
    )
    fallback = f"<table><tr><th>model</th><th>MB</th><th>loss</th></tr>{rows}</table>"
    label = "Compressed models by bytes and held-out loss"
    show_widget("compression-ledger", label, {"points": points, "start": 0}, fallback)
    return points
