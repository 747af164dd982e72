"""What keeps the pages light and every request on this machine."""

import base64
import hashlib
import importlib.util
import re
import shutil
from pathlib import Path

# What _config.yml has MathJax load, and the TeX packages that it fetches when a formula needs one. Its menu, a third of
# the usual bundle, is left out; the spoken form of formulas (assistive-mml) is not.
_MATHJAX_PARTS = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)


def copy_mathjax(destination: Path) -> None:
    """Copy MathJax 3.2.2 out of the PyPI package `sphinx-mathjax-offline`, without its parts for other formats."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("sphinx-mathjax-offline is not installed: formulas would need another machine")
    source = Path(spec.origin).parent / "static" / "mathjax"
    for part in _MATHJAX_PARTS:
        origin, target = source / part, destination / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(origin, target)


# Scripts and styles that extensions put on every page, and what a page holds if it needs them.
_UNUSED_UNLESS = {
    "thebe": None,
    "sphinx-design": ' class="sd-',
    "design-tabs": ' class="sd-',
    "togglebutton": '"toggle',
}


def drop_unused(context: dict) -> None:
    """Take out scripts and styles that the page does not use; sphinx-thebe's would throw an error as well."""
    body = context.get("body") or ""

    def wanted(asset: object) -> bool:
        attributes = getattr(asset, "attributes", None) or {}
        text = f"{getattr(asset, 'filename', '')}{attributes.get('body', '')}{asset}".lower()
        return all(name not in text or (sign and sign in body) for name, sign in _UNUSED_UNLESS.items())

    for kind in ("script_files", "css_files"):
        assets = context.get(kind, [])
        assets[:] = filter(wanted, list(assets))  # in place: Sphinx adds a page's own scripts to this very list
    context["body"] = _THEBE_CONFIG.sub("", body)


_THEBE_CONFIG = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>\s*(<script>kernelName.*?</script>)?', re.DOTALL
)
_FONTAWESOME = r'<script defer src="[^"]*fontawesome\.js[^"]*"></script>|<link rel="preload"[^>]*fontawesome\.js[^>]*>'
_SEARCH_SCRIPTS = re.compile(r'<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>\s*')
_REPAIRS = (
    # The theme ships Font Awesome twice; the web fonts are enough and 1.4 MB of script are not.
    (re.compile(_FONTAWESOME), ""),
    # sphinxcontrib-bibtex marks a list up as one without list items, sphinx-proof gives every proof the same ids.
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (re.compile(r' role="doc-biblioentry"'), ""),
    (re.compile(r' id="proof(?:-content)?"'), ""),
    (re.compile(r'(<div class="proof admonition">\s*<p>)Proof\.'), r'\1<span class="proof-title">Proof.</span>'),
    (re.compile("✅"), "passed"),  # in words: not every machine has a glyph for it
)


def repair_pages(out: Path) -> None:
    """Mend what the tools wrote into the pages."""
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for pattern, replacement in _REPAIRS:
            text = pattern.sub(replacement, text)
        if page.name != "search.html":  # results are shown there alone, and the index grows with the course
            text = _SEARCH_SCRIPTS.sub("", text)
        text = with_files(text, page.parent, out)
        page.write_text(text, encoding="utf-8")
    (out / "_static/scripts/fontawesome.js").unlink(missing_ok=True)


_EMBEDDED = re.compile(r'src="data:(?:audio|image)/(flac|ogg|png);base64,([^"]+)"')


def with_files(text: str, folder: Path, out: Path) -> str:
    """Sounds and pictures that a cell embedded in its output, as files named by their content."""

    def as_file(found: re.Match[str]) -> str:
        content = base64.b64decode(found[2])
        file = out / "_sounds" / f"{hashlib.sha256(content).hexdigest()[:16]}.{found[1]}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return f'src="{Path(*[".."] * len(folder.relative_to(out).parts), "_sounds", file.name).as_posix()}"'

    return _EMBEDDED.sub(as_file, text)
