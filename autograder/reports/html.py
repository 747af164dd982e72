"""What feedback pages share: their frame and style, how text and points are written. A page loads nothing."""

import base64
import hashlib
import re
from html import escape

STYLE = r"""
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5c6670; --page: #fbfbfa; --card: #fff; --line: #dfe2e5;
  --good: #1b6b3a; --bad: #a3261c; --bar: #2f6fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a3adb6; --page: #14171a; --card: #1c2024;
  --line: #343a40; --good: #6fcf97; --bad: #ff8a80; --bar: #6fa8dc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
body.wide { max-width: 84rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 0; }
p, ul { margin: .4rem 0; } a { color: var(--bar); } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
.head { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
.points { white-space: nowrap; font-variant-numeric: tabular-nums; }
.total { font-size: 2rem; font-weight: 600; }
.bar { height: .5rem; border-radius: .25rem; background: var(--line); overflow: hidden; margin: .5rem 0 0; }
.bar div { height: 100%; background: var(--bar); }
h3 { font-size: .9rem; font-weight: 600; color: var(--soft); margin: 1rem 0 .25rem; }
ul.checks { list-style: none; padding: 0; margin: 0; }
ul.checks li { display: grid; grid-template-columns: 1.5rem 1fr auto; gap: 0 .5rem; padding: .45rem 0;
  border-top: 1px solid var(--line); }
.passed .mark { color: var(--good); } .failed .mark { color: var(--bad); } .mark { font-weight: 700; }
.message, .values, .drawing, .first { grid-column: 2 / 4; margin-top: .25rem; }
.comment { padding-left: .6rem; border-left: 3px solid var(--bar); white-space: pre-wrap; overflow-wrap: anywhere; }
.message, .values { padding-left: .6rem; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
.message { color: var(--soft); white-space: pre-wrap; } .failed .message { color: var(--ink); }
.first { font-size: .85rem; font-weight: 600; color: var(--bad); }
.values { display: grid; grid-template-columns: max-content 1fr; gap: 0 .75rem; margin-bottom: 0; font-size: .9rem; }
.values dt { color: var(--soft); } .values dd { margin: 0; font-family: ui-monospace, monospace; }
svg { display: block; width: 100%; max-width: 30rem; height: auto; color: var(--ink); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th { font-weight: 600; } tbody th { font-weight: 400; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; } tbody th, tbody td { vertical-align: top; }
td.remarks { min-width: 16rem; font-size: .9rem; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 60rem) { td.remarks { min-width: 34rem; } }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid var(--bar); }
th button::after { content: "\a0\2195"; color: var(--soft); font-weight: 400; }
th[aria-sort=ascending] button::after { content: "\a0\2191"; }
th[aria-sort=descending] button::after { content: "\a0\2193"; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def page(title: str, body: str, script: str = "", wide: bool = False) -> str:
    """A whole HTML page; its policy lets a browser load nothing, and run nothing but `script`, whatever the body holds.

    Args:
        script: of ours; the policy names it by its hash.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    if script:
        policy += f"; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body{' class=wide' if wide else ''}>"
        f"<main>{body}</main>{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table of HTML cells; the first column names its row, the others hold numbers."""
    first, *others = headings
    head = "".join(f"<th class=number scope=col>{escape(name)}</th>" for name in others)
    body = "".join(
        f"<tr><th scope=row>{name}</th>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return f"<table><thead><tr><th scope=col>{escape(first)}</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def bullets(lines: list[str], nothing: str) -> str:
    """A list of HTML lines, or the sentence that there are none."""
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else f"<p>{nothing}</p>"


def prose(text: str) -> str:
    """Escaped text, with `names` set as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text))
