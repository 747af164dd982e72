"""Names of students are the students' choice: how they are shown, what files they name, and which cannot be used.

A folder's name may be any bytes but "/" and NUL: line ends, what a terminal obeys, changes of writing direction, or no
text at all. Whoever shows one, links to it or names a file after it asks here.
"""

import hashlib
import os
import re
from html import escape
from urllib.parse import quote

MAX_FILE_NAME = 100  # bytes, so that there is room for what is put before and behind
RESERVED = frozenset({"index.html", "class.html"})  # what lies beside the students' pages
PLAIN = re.compile(r"\w[\w .,+()\[\]'%@=-]*")


def shown(name: str) -> str:
    r"""A name on one line, with what a terminal, a page or a spreadsheet would obey written out, as in \x1b."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def file_name(name: str) -> str:
    """A name for a student's own folder or file of ours: a plain name as it is, any other made so, and still unique."""
    plain = bool(PLAIN.fullmatch(name)) and name == name.rstrip(" .") and len(os.fsencode(name)) <= MAX_FILE_NAME
    if plain and name.lower() not in RESERVED:
        return name
    kept = re.sub(r"[^\w-]+", "_", shown(name)).encode("ascii", "ignore").decode()[:40]
    return f"{kept}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"


def link(name: str) -> str:
    """An HTML link from a page of the class to a student's own."""
    return f'<a href="{escape(quote(file_name(name)))}/index.html">{escape(shown(name))}</a>'


def is_text(name: str) -> bool:
    """Whether a name can be put on record: no gradebook, page or export takes one that is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def listed(names: list[str], most: int = 5) -> str:
    """The first names of a list as they are shown, and how many more there are."""
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
