"""The audit log's line about one judge run."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.cells.bundle import Bundle


def audit_line(bundle: Bundle, secret: bytes, versions: Mapping[str, Any], raw: Any, folder: Path) -> str:
    """What was judged by what under which secret, the verdict, and the raw samples that the run left in its folder."""
    samples = folder / "samples.jsonl"
    measured = json.loads(samples.read_text(encoding="utf-8").splitlines()[-1]) if samples.is_file() else {}
    line = {
        **measured,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "assignment": bundle.assignment,
        "bundle": bundle.sha256,
        "secret": hashlib.sha256(b"id:" + secret).hexdigest()[:12],
        "versions": versions,
        "result": raw,
    }
    return json.dumps(line, sort_keys=True)
