"""The theme's icon font, cut down to the icons that the site shows: 2 kB instead of 156."""

import re
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

_FONTS = "_static/vendor/fontawesome/webfonts/fa-solid-900"
_ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]{2,5})"\}')
_SOURCES = re.compile(
    r'url\([^)]*fa-solid-900\.woff2\) format\("woff2"\),\s*url\(([^)]*fa-solid-900)\.ttf\) format\("truetype"\)'
)


def keep_used_icons(out: Path) -> None:
    """Drop the style rules of icons that no page and no script names, and the glyphs that no rule is left for."""
    mentions = [*out.rglob("*.html"), *out.rglob("_static/**/*.js")]
    used = {name for path in mentions for name in re.findall(r"fa-[a-z0-9-]+", path.read_text(encoding="utf-8"))}
    glyphs: set[int] = set()
    for path in out.glob("_static/**/*.css"):
        text = path.read_text(encoding="utf-8")
        lean = _ICON_RULE.sub(lambda rule: rule[0] if used & set(re.findall(r"fa-[\w-]+", rule[1])) else "", text)
        lean = _SOURCES.sub(r'url(\1.woff) format("woff")', lean)
        glyphs |= {int(code, 16) for code in re.findall(r'"\\([ef][0-9a-f]{3})"', lean)}
        glyphs |= {ord(character) for character in re.findall("[\ue000-\uf8ff]", lean)}
        path.write_text(lean, encoding="utf-8")
    _write_subset(out / f"{_FONTS}.ttf", out / f"{_FONTS}.woff", glyphs)
    for suffix in ("ttf", "woff2"):
        (out / f"{_FONTS}.{suffix}").unlink()


def _write_subset(source: Path, target: Path, glyphs: set[int]) -> None:
    with TTFont(source, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, drop_tables=["FFTM"]))
        cutter.populate(unicodes=glyphs)
        cutter.subset(font)
        font.flavor = "woff"
        font.save(target)
