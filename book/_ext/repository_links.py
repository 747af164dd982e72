"""Links from a page to its source, to new issues, to Colab, where the course has an address; and to its clean notebook.

The address is `repository.url` of _config.yml, else git's origin where that is on GitHub. Without one no link is shown.
"""

import subprocess
from pathlib import Path

from execution import notebook_pages
from fingerprint import ROOT
from sphinx.application import Sphinx
from sphinx.config import Config

_BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")


def course_address(config: Config) -> str | None:
    """Such as https://github.com/owner/name, or None."""
    return config.html_theme_options.get("repository_url") or github_repository()


def github_repository(root: Path = ROOT) -> str | None:
    """https://github.com/owner/name where git's origin is there, else None."""
    git = subprocess.run(["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True, check=False)
    url = git.stdout.strip().removesuffix(".git").replace("git@github.com:", "https://github.com/")
    return url if url.startswith("https://github.com/") else None


def choose_buttons(app: Sphinx, config: Config) -> None:
    """The theme's own buttons, all or none."""
    address = course_address(config)
    config.html_theme_options |= dict.fromkeys(_BUTTONS, address is not None)
    if address:
        config.html_theme_options |= {"repository_url": address, "path_to_docs": "book"}
    else:
        config.html_theme_options.pop("repository_url", None)


def change_buttons(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Link a page's clean notebook, here and in Colab; leave out what leads nowhere."""
    groups = {group.get("label"): group.get("buttons", []) for group in context.get("header_buttons", [])}
    assignment = pagename.startswith("assignments/")
    gone = {"download-notebook-button"} if assignment or pagename in notebook_pages() else set()
    gone |= {"download-source-button", "source-edit-button", "source-file-button"} if assignment else set()
    for buttons in groups.values():
        buttons[:] = [button for button in buttons if button.get("label") not in gone]
    if "download-notebook-button" in gone:
        notebook = f"notebooks/{pagename}.ipynb"
        links = [_button(context["pathto"](notebook, 1), "Notebook (.ipynb)", "download-notebook-button")]
        if address := course_address(app.config):
            place = f"{address.removeprefix('https://github.com/')}/blob/notebooks/{notebook}"
            url = f"https://colab.research.google.com/github/{place}"
            links.append(_button(url, "Open in Colab", "launch-colab-button"))
        groups.get("download-buttons", [])[:0] = links


def _button(url: str, text: str, label: str) -> dict[str, str]:
    return {"type": "link", "url": url, "text": text, "icon": "fas fa-code", "label": label}


def setup(app: Sphinx) -> None:
    app.connect("config-inited", choose_buttons, priority=100)
    app.connect("html-page-context", change_buttons, priority=950)
