"""Chapter 7: two distributions, copied layers, where three losses count, written text as targets, generations."""

from collections.abc import Sequence

from book_tools import draw
from book_tools.draw import Sheet


def two_distributions(words: Sequence[str], teacher: Sequence[float], student: Sequence[float]) -> list[Sheet]:
    """One text through both models, a bar for each word, and the divergence between."""
    text = draw.tensor("the same text", "(B, T)", role="text", width=130)
    boxes = [draw.box("teacher", role="frozen", width=110), draw.box("student", role="trained", width=110)]
    highest = max(*teacher, *student)
    charts = [
        draw.bars({w: [(p, role)] for w, p in zip(words, values, strict=True)}, 70, 41, highest)
        for values, role in ((teacher, "target"), (student, "draft"))
    ]
    columns = [draw.column(box, chart, gap=24) for box, chart in zip(boxes, charts, strict=True)]
    both = draw.row(*columns, gap=20)
    loss = draw.box("T x T x KL(teacher || student)", role="plain")
    sheet = draw.column(text, both, loss, gap=26)
    arrows = [draw.arrow(text, box) for box in boxes]
    arrows += [draw.arrow(box, chart) for box, chart in zip(boxes, charts, strict=True)]
    arrows += [draw.arrow(charts[0], loss), draw.arrow(loss, charts[1], "gradient", role="trained")]
    return [Sheet(sheet, *arrows)]


def copied_layers(layers: Sequence[int], num_layers: int) -> list[Sheet]:
    """The teacher's layers, of which some become the student's."""
    names = [f"layer {i}" for i in range(num_layers)]
    theirs = draw.column(
        *[draw.box(name, role="frozen" if i in layers else "unused", width=86) for i, name in enumerate(names)], gap=5
    )
    ours = draw.column(*[draw.box(f"layer {j}", role="trained", width=86) for j in range(len(layers))], gap=31)
    both = draw.row(draw.titled(theirs, "teacher"), draw.titled(ours, "student"), gap=90)
    return [Sheet(both, *[draw.arrow(theirs[i], ours[j]) for j, i in enumerate(layers)])]


def where_losses_count(
    pieces: Sequence[str], asked: Sequence[bool], is_token: Sequence[bool], width: float = 50
) -> list[Sheet]:
    """One row of a batch, and which positions each of the three losses counts."""
    shown = [[("unused" if not real else "text", piece) for piece, real in zip(pieces, is_token, strict=True)]]
    lines = {
        "5 x distillation": ["target" if real else "masked" for real in is_token],
        "2 x masked words": ["accepted" if one else "masked" for one in asked],
        "1 x cosine": ["cached" if real else "masked" for real in is_token],
    }
    left = max(draw.label(name).width for name in [*lines, "student reads"])
    parts = [draw.beside("student reads", draw.grid(shown, cell=(width, 24)), left)]
    parts += [draw.beside(name, draw.grid([cells], cell=(width, 24)), left) for name, cells in lines.items()]
    return [Sheet(draw.column(*parts, gap=8, align="start"))]


def sequence_level(prompt: Sequence[str], written: Sequence[str], asked: Sequence[bool]) -> list[Sheet]:
    """What the student reads, and below each token the one that it is asked for."""
    read = [*prompt, *written][:-1]
    following = [*prompt, *written][1:]
    cell = (46, 24)
    rows = {
        "reads": [("text" if i < len(prompt) else "target", token) for i, token in enumerate(read)],
        "is asked": [
            ("accepted", token) if one else ("masked", "") for token, one in zip(following, asked, strict=True)
        ],
    }
    left = max(draw.label(name).width for name in rows)
    parts = [draw.beside(name, draw.grid([cells], cell=cell), left) for name, cells in rows.items()]
    return [Sheet(draw.column(*parts, gap=8, align="start"))]


def pipeline() -> list[Sheet]:
    """Generate, filter, deduplicate, train, and the loop that makes generations of it."""
    real = draw.tensor("real text", role="text", width=92)
    teacher = draw.box("large model", role="frozen", width=92)
    raw = draw.tensor("written", role="target", width=80)
    kept = draw.box("filter", role="plain", width=70)
    once = draw.box("each once", role="plain", width=84)
    student = draw.box("small model", role="trained", width=96)
    upper, lower = draw.row(real, teacher, raw, gap=34), draw.row(student, once, kept, gap=34)
    arrows = [
        draw.arrow(real, teacher),
        draw.arrow(teacher, raw),
        draw.arrow(raw, kept),
        draw.arrow(kept, once),
        draw.arrow(once, student),
        draw.arrow(student, teacher, dashed=True, role="rejected"),
        draw.arrow(real, student, dashed=True),
    ]
    return [Sheet(draw.column(upper, lower, gap=54), *arrows)]


def shrinking(counts: Sequence[Sequence[int]], words: Sequence[str]) -> list[Sheet]:
    """How often each of a few words stands in each generation's text; what falls to 0 stays there."""
    cells = [[("cached", str(n)) if n else ("masked", "0") for n in line] for line in counts]
    names = [f"generation {i}" for i in range(len(counts))]
    return [Sheet(draw.grid(cells, rows=names, columns=list(words), cell=(42, 22)))]
