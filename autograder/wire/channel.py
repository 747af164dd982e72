"""Frames between judge and worker: a JSON header with a strict schema over a socket, tensors in shared memory.

The judge parses what a hostile worker sent: any malformed frame raises ProtocolError and nothing else.
"""

import fcntl
import json
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from autograder.wire.values import ARENA_BYTES, Arena, ProtocolError, checked_text

MAX_HEADER_BYTES = 4 * 2**20
Deadline = float | Callable[[], float]


class Closed(Exception):
    """The other side is gone."""


def parse_header(raw: bytes) -> dict[str, Any]:
    """The JSON object in a frame.

    Raises:
        ProtocolError: it is not a JSON object, or is nested too deeply for the parser.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        header = json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise ProtocolError("the header is not JSON") from None
    if not isinstance(header, dict):
        raise ProtocolError("the header is not a JSON object")
    return header


# The fields of each kind of message that a worker may send. "id" repeats the random id of the request it answers.
REPLIES: dict[str, dict[str, tuple[type, ...]]] = {
    "ready": {"id": (str,)},
    "result": {"id": (str,), "value": ()},  # any tree: `unpack` checks it
    "error": {"id": (str,), "kind": (str,), "type": (str,), "message": (str,), "line": (int, type(None))},
    "callback": {"id": (str,), "index": (int,), "args": (list,)},
}


def check_reply(header: dict[str, Any], expected_id: str) -> dict[str, Any]:
    """The same header, if it is a well-formed reply to the request with that id.

    Raises:
        ProtocolError: a kind, field or type is wrong, or it answers something else.
    """
    kind = header.get("op")
    known = REPLIES.get(kind) if isinstance(kind, str) else None
    if known is None or header.keys() != known.keys() | {"op"}:
        raise ProtocolError("a reply of unknown form")
    if not all(not types or type(header[name]) in types for name, types in known.items()):
        raise ProtocolError("a reply with a field of the wrong type")
    for field in header.values():
        if isinstance(field, str):
            checked_text(field)
    if header["id"] != expected_id:
        raise ProtocolError("a reply to something that was not asked")
    return header


class Channel:
    """Frames over a stream socket: four bytes of length, then a JSON object."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, header: dict[str, Any], deadline: Deadline | None = None) -> None:
        """Raises ValueError where the header is too large, Closed, or TimeoutError past the deadline."""
        raw = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
        if len(raw) > MAX_HEADER_BYTES:
            raise ValueError(f"the values take more than the {MAX_HEADER_BYTES >> 20} MB that may cross beside tensors")
        self._wait(deadline)
        try:
            self._sock.sendall(struct.pack("!I", len(raw)) + raw)
        except (BrokenPipeError, ConnectionError):
            raise Closed from None

    def receive(self, deadline: Deadline | None = None) -> dict[str, Any]:
        """The next header.

        Args:
            deadline: by `time.monotonic()`; a function is asked again whenever its time has come.

        Raises:
            TimeoutError, Closed, ProtocolError.
        """
        (size,) = struct.unpack("!I", self._exactly(4, deadline))
        if size > MAX_HEADER_BYTES:
            raise ProtocolError(f"a header of {size} bytes, at most {MAX_HEADER_BYTES} are allowed")
        return parse_header(self._exactly(size, deadline))

    def close(self) -> None:
        self._sock.close()

    def _exactly(self, size: int, deadline: Deadline | None) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._wait(deadline)
            try:
                part = self._sock.recv(min(size - len(parts), 1 << 20))
            except TimeoutError:
                continue
            except ConnectionError:
                raise Closed from None
            if not part:
                raise Closed
            parts += part
        return bytes(parts)

    def _wait(self, deadline: Deadline | None) -> None:
        if deadline is not None:
            remaining = (deadline() if callable(deadline) else deadline) - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._sock.settimeout(remaining)


def create_shared_memory() -> int:
    """A file descriptor of memory for both directions that nobody can shrink or grow any more."""
    descriptor = os.memfd_create("arena", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(descriptor, 2 * ARENA_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


def map_shared_memory(descriptor: int) -> tuple[Arena, Arena]:
    """The arenas (to the worker, from the worker) in the memory behind a descriptor."""
    memory = mmap.mmap(descriptor, 2 * ARENA_BYTES)
    return Arena(memory), Arena(memory, ARENA_BYTES)
