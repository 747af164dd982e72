"""The course's secret, and the key of each run that derives from it."""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from autograder.cells.bundle import Bundle
from autograder.wire.errors import CannotGrade


def course_secret(path: Path) -> bytes:
    """The course's secret, made on first use and readable by its owner alone.

    Raises:
        CannotGrade: others may read the file; inputs derived from it would be no secret.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32))
            os.link(temporary, path)  # fails where another process was first: then theirs is the secret
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        handle = os.open(path, os.O_RDONLY)
    with open(handle) as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise CannotGrade(f"{path} can be read by others. Set it right: chmod 600 {path}")
        return bytes.fromhex(file.read())


def run_key(secret: bytes, bundle: Bundle) -> str:
    """The key every input of a run derives from: the same for a regrade, unknown to the student."""
    message = f"{bundle.assignment}\n{bundle.sha256}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()
