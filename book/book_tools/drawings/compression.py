"""Chapter 5: bits of numbers, who shares a scale, packing, outliers, double quantization, GPTQ, adapters, memory."""

from collections.abc import Mapping, Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet

GROUP_ROLES = ("target", "cached", "text", "trained", "picture", "accepted", "draft", "sound")


def bits(rows: Mapping[str, Sequence[tuple[str, str]]]) -> list[Sheet]:
    """A number in several formats, bit by bit: (role, bit) from the highest down."""
    width = max(draw.label(name).width for name in rows)
    lines = [
        draw.beside(name, draw.grid([[(role, bit) for role, bit in row]], cell=(11.5, 22)), width)
        for name, row in rows.items()
    ]
    return [Sheet(draw.column(*lines, gap=6, align="start"))]


def granularities(num_rows: int = 4, num_columns: int = 8, group: int = 4) -> list[Sheet]:
    """The same matrix three times, coloured by who shares a scale."""

    def matrix(scale_of, words: str) -> Sheet:
        cells = [[GROUP_ROLES[scale_of(i, j)] for j in range(num_columns)] for i in range(num_rows)]
        return Sheet(draw.titled(draw.grid(cells, cell=18), words, gap=8))

    return [
        matrix(lambda i, j: 0, "a tensor: 1 scale"),
        matrix(lambda i, j: i, f"a channel: {num_rows} scales"),
        matrix(
            lambda i, j: i * (num_columns // group) + j // group,
            f"a group: {num_rows * num_columns // group} scales",
        ),
    ]


def packing(low: int, high: int) -> list[Sheet]:
    """Two whole numbers from -8 to 7, each plus 8, in the halves of a byte."""

    def half(value: int, role: str) -> Part:
        return draw.grid([[(role, bit) for bit in f"{value + 8:04b}"]], cell=(24, 24))

    first, second = half(high, "cached"), half(low, "target")
    byte = draw.grid([[("cached", b) for b in f"{high + 8:04b}"] + [("target", b) for b in f"{low + 8:04b}"]], cell=24)
    upper = draw.row(
        draw.titled(first, f"{high} + 8 = {high + 8}"), draw.titled(second, f"{low} + 8 = {low + 8}"), gap=40
    )
    whole = draw.titled(byte, "one byte", gap=6)
    return [Sheet(draw.column(upper, whole, gap=34), draw.arrow(first, byte), draw.arrow(second, byte))]


def decomposition(outliers: Sequence[bool]) -> list[Sheet]:
    """Inputs and weights, cut by feature: few multiplied in floats, the rest as whole numbers."""
    roles = ["rejected" if out else "cached" for out in outliers]
    x = draw.titled(draw.grid([roles] * 3, cell=20), "x (T, K)", gap=6)
    weight = draw.titled(draw.grid([[role] * 4 for role in roles], cell=20), "W transposed (K, N)", gap=6)
    exact = draw.box("product", "in 16 bits", role="rejected", width=110)
    whole = draw.box("product", "in int8, int32 sums", role="cached", width=150)
    total = draw.box("+", role="plain", width=40)
    left = draw.row(x, weight, gap=30)
    middle = draw.row(whole, exact, gap=30)
    arrows = [draw.arrow(left, whole), draw.arrow(left, exact), draw.arrow(whole, total), draw.arrow(exact, total)]
    return [Sheet(draw.column(left, middle, total, gap=30), *arrows)]


def double_quantization() -> list[Sheet]:
    """64 weights and a scale; 256 such scales and a step; what is stored of each."""
    weights = draw.tensor("64 weights", "4 bits each", "target", width=150)
    scale = draw.tensor("their scale", "32 bits", "cached", width=110)
    scales = draw.tensor("256 scales - mean", "8 bits each", "cached", width=190)
    step = draw.tensor("their step", "32 bits", "trained", width=110)
    upper, lower = draw.row(weights, scale, gap=10), draw.row(scales, step, gap=10)
    return [Sheet(draw.column(upper, lower, gap=40), draw.arrow(scale, scales, "one of", leave="bottom", enter="top"))]


def column_sweep(num_rows: int, num_columns: int, now: int, block: int) -> list[Sheet]:
    """A weight matrix in the middle of GPTQ: rounded, at work, updated at once, updated once a block."""

    def role(j: int) -> str:
        if j < now:
            return "frozen"
        if j == now:
            return "now"
        return "trained" if j // block == now // block else "plain"

    cells = [[role(j) for j in range(num_columns)] for _ in range(num_rows)]
    return [Sheet(draw.grid(cells, columns=[str(j) for j in range(num_columns)], cell=26))]


def adapter(d_in: str, d_out: str) -> list[Sheet]:
    """A frozen layer and the two thin matrices beside it."""
    x = draw.tensor("x", d_in, "text", width=90)
    base = draw.box("W", role="frozen", shape=f"{d_out} x {d_in}", width=150)
    down = draw.box("A", role="trained", shape=f"r x {d_in}", width=110)
    up = draw.box("B, zero at first", role="trained", shape=f"{d_out} x r", width=140)
    y = draw.tensor("y", d_out, "text", width=90)
    side = draw.column(up, down, gap=24)
    middle = draw.row(base, side, gap=50)
    arrows = [
        draw.arrow(x, base),
        draw.arrow(x, down),
        draw.arrow(down, up),
        draw.arrow(up, y, "alpha / r"),
        draw.arrow(base, y),
    ]
    return [Sheet(draw.column(y, middle, x, gap=34), *arrows)]


def frozen_base(bits_a_weight: str) -> list[Sheet]:
    """The two passes through a base in 4 bits: what is made for a moment, what is kept."""
    packed = draw.tensor("packed W", bits_a_weight, "frozen", width=130)
    forward = draw.box("dequantize, multiply", role="now", width=180)
    backward = draw.box("dequantize, multiply", role="now", width=180)
    x, y = draw.tensor("x", role="text", width=60), draw.tensor("y", role="text", width=60)
    dy, dx = draw.tensor("dL/dy", role="trained", width=60), draw.tensor("dL/dx", role="trained", width=60)
    upper, lower = draw.row(x, forward, y, gap=34), draw.row(dx, backward, dy, gap=34)
    arrows = [
        draw.arrow(x, forward),
        draw.arrow(forward, y),
        draw.arrow(dy, backward),
        draw.arrow(backward, dx),
        draw.arrow(packed, forward),
        draw.arrow(packed, backward),
    ]
    return [Sheet(draw.column(upper, packed, lower, gap=30), *arrows)]


def memory(columns: Mapping[str, Sequence[tuple[float, str]]]) -> list[Sheet]:
    """Bytes a weight of each way to fine-tune, by what they hold."""
    return [Sheet(draw.bars(columns, height=150, width=96))]
