"""Drawings: the roles' colours, the layout, arrows, numbers and references."""

import re
from pathlib import Path

import pytest
from book_tools import captions, draw
from book_tools.draw.roles import ROLES
from figure_references import UnknownFigure, fill_references, words_for_references

ROOT = Path(__file__).resolve().parents[2]
BACKGROUNDS = ("#ffffff", "#14181e")


@pytest.fixture
def shown(monkeypatch):
    """Shows a drawing with a caption, and gives its HTML."""
    displayed = []
    monkeypatch.setattr(captions, "display", lambda output: displayed.append(output.data))
    monkeypatch.setattr(captions, "_numbers", {})

    def call(*sheets, caption="What to see.", key="ch08-a", title="A title", desc="A description.", **options) -> str:
        draw.show(*sheets, title=title, desc=desc, caption=caption, key=key, **options)
        return displayed[-1]

    return call


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_seen_on_both_backgrounds_and_has_a_variable(name):
    for background in BACKGROUNDS:
        light, dark = sorted((luminance(ROLES[name].color), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, background
    assert f"--role-{name}: {ROLES[name].color};" in (ROOT / "book/_assets/css/course.css").read_text(encoding="utf-8")


def test_roles_of_one_colour_differ_in_another_mark():
    """Nothing is told by colour alone."""
    looks = [(role.color, role.dash, role.stroke, role.tint, role.hatched, role.struck) for role in ROLES.values()]
    assert len(set(looks)) == len(looks)


def test_parts_stand_side_by_side_and_one_under_the_other():
    parts = [draw.box(text, height=height) for text, height in (("one", 30), ("two", 50))]
    group = draw.column(draw.row(*parts, gap=10), draw.label("a much longer line of words"), gap=6)
    draw.Sheet(group)
    one, two = parts
    assert two.x == pytest.approx(one.x + one.width + 10)
    assert one.y + one.height / 2 == pytest.approx(two.y + two.height / 2)
    assert group[1].y == pytest.approx(group[0].y + 50 + 6)
    assert group[0].x + group[0].width / 2 == pytest.approx(group[1].x + group[1].width / 2)


def test_an_arrow_is_straight_where_its_ends_face_each_other():
    above, below = draw.tile("a"), draw.box("a wide box", width=200)
    sheet = draw.Sheet(draw.column(above, below, gap=40), draw.arrow(above, below))
    path = re.search(r'd="M([\d.]+),([\d.]+) C[\d.]+,[\d.]+ [\d.]+,[\d.]+ ([\d.]+),([\d.]+)"', sheet.svg(">"))
    assert path
    x, y, x_end, y_end = map(float, path.groups())
    assert x == x_end == pytest.approx(above.x + above.width / 2, abs=0.1)
    assert above.y + above.height < y < y_end < below.y


def test_a_mask_is_drawn_cell_by_cell():
    mask = [[True, False], [True, True]]
    cells = re.findall(r'<rect [^>]*stroke="var\(--role-(\w+),', draw.Sheet(draw.grid(mask, role="target")).svg(">"))
    assert cells == ["target", "masked", "target", "target"]
    shades = re.findall(r'fill-opacity="([\d.]+)"', draw.Sheet(draw.grid([[0.25, 2.0]])).svg(">"))
    assert [float(shade) for shade in shades] == [0.25, 1.0]


def test_spans_of_a_lane_are_as_long_as_their_time():
    line = draw.lanes({"draft": [(0, 1, "", "draft")], "target": [(1, 4, "", "target")]})
    draw.Sheet(line)
    gap = line[1].x - line[0].x - line[0].width
    assert (line[1].width + gap) / (line[0].width + gap) == pytest.approx(3)


def test_a_figure_has_words_a_legend_and_a_number(shown):
    page = shown(draw.tokens(["a b", "<"], ["draft", "frozen"]), caption="See $x_1$ and `y`.", legend={"draft": "mine"})
    assert '<span class="figure-number">Figure 8.1</span>' in page
    assert "<title>A title</title><desc>A description.</desc>" in page
    assert "a␣b" in page
    assert "&lt;</text>" in page
    assert re.findall(r"</span> ([^<]+)</li>", page) == ["mine", "frozen"]
    assert r"\(x_1\)" in page
    assert "<code>y</code>" in page


def test_numbers_count_by_chapter_and_stay_when_a_cell_runs_again(shown):
    pages = [shown(draw.tile("a"), key=key) for key in ("ch08-a", "ch08-b", "ch15-a", "ch08-a")]
    assert [re.findall(r"Figure [\d.]+", page) for page in pages] == [
        [f"Figure {n}"] for n in ("8.1", "8.2", "15.1", "8.1")
    ]


def test_hatches_of_two_drawings_share_no_name(shown):
    pages = [shown(draw.tile(text, "masked"), key=f"ch08-{text}") for text in "ab"]
    names = [set(re.findall(r'id="(h\w+)"', page)) for page in pages]
    assert all(names)
    assert not names[0] & names[1]
    for page, own in zip(pages, names, strict=True):
        assert set(re.findall(r"url\(#(\w+)\)", page)) == own


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda shown: shown(draw.tile("a"), caption=" "), "caption is empty"),
        (lambda shown: shown(draw.tile("a"), desc=""), "title or desc is empty"),
        (lambda shown: shown(draw.tile("a"), key="patches"), "chNN-slug"),
        (lambda shown: shown(draw.tile("a"), legend={"taget": "x"}), "taget"),
        (lambda shown: draw.tile("a", "taget"), "the roles are target"),
        (lambda shown: shown(draw.tile("a" * 80)), "the most is"),
    ],
)
def test_a_drawing_that_a_reader_could_not_read_is_refused(shown, wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(shown)


def test_references_get_their_number_and_lead_to_the_page(tmp_path, shown):
    (tmp_path / "ch08.html").write_text(shown(draw.tile("a")) + '<a class="figure-reference" href="#ch08-a"></a>')
    (tmp_path / "ch09.html").write_text('<a class="figure-reference" href="#ch08-a"></a>')
    assert fill_references(tmp_path) == {"ch08-a": "Figure 8.1"}
    assert (tmp_path / "ch08.html").read_text().endswith('<a class="figure-reference" href="#ch08-a">Figure 8.1</a>')
    assert 'href="ch08.html#ch08-a">Figure 8.1</a>' in (tmp_path / "ch09.html").read_text()
    (tmp_path / "ch09.html").write_text('<a class="figure-reference" href="#ch08-b"></a>')
    with pytest.raises(UnknownFigure, match=r"ch09.html refers to the figure 'ch08-b'; there are ch08-a"):
        fill_references(tmp_path)


def test_references_in_a_notebook_are_words():
    """myst-nb keeps notebooks without outputs: the numbers come from the pages."""
    text = {"cell_type": "markdown", "source": ["See {fig}", "`ch08-a`."]}
    code = {"cell_type": "code", "source": "draw {fig}`ch08-b`"}
    worded = words_for_references({"cells": [text, code]}, {"ch08-a": "Figure 8.1"})
    assert worded["cells"] == [text | {"source": "See Figure 8.1."}, code]
    with pytest.raises(UnknownFigure, match="'ch08-a'; there are none"):
        words_for_references({"cells": [text]}, {})
