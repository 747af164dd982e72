"""Which ways of sharing memory between the judge and a sandboxed worker work on this GPU, and how fast a call is.

The judge fills 64 MB, a process in namespaces of its own adds one to each byte on the GPU, the judge looks. Tried are
device memory shared by a file descriptor (CUDA VMM), by torch's handles (CUDA IPC), and pinned host memory with copies.

python benchmarks/probe_sharing.py [--quick] [--json] [--save]
"""

import importlib
import mmap
import os
import pickle
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from carried import ROOT, bring_bubblewrap
from report import Row, arguments, missing, report

sys.path.insert(0, str(ROOT))

from autograder.runtime.device import Cuda

SIZE = 64 << 20
PATIENCE_S = 120.0
MAX_MESSAGE = 65_536


class Host:
    """Shared host memory with no device at all: what the round trip costs without one."""

    def __init__(self, _: Any = None, descriptors: list[int] | None = None) -> None:
        if not descriptors:
            descriptors = [os.memfd_create("shared")]
            os.ftruncate(descriptors[0], SIZE)
        self.descriptors, self.handle = descriptors, None
        self.memory = torch.frombuffer(mmap.mmap(descriptors[0], SIZE), dtype=torch.uint8)

    def add_one(self) -> None:
        """The worker's part."""
        self.memory += 1

    def holds(self, value: int) -> bool:
        return bool((self.memory == value).all())


class Pinned(Host):
    """The same memory, pinned by both, with the copies to the device and back."""

    def __init__(self, _: Any = None, descriptors: list[int] | None = None) -> None:
        super().__init__(_, descriptors)
        runtime = torch.cuda.cudart()
        assert runtime is not None
        code = runtime.cudaHostRegister(self.memory.data_ptr(), SIZE, 0)
        if int(code) != 0:
            raise RuntimeError(f"cudaHostRegister: {code}")

    def add_one(self) -> None:
        there = self.memory.to("cuda", non_blocking=True)
        there += 1
        self.memory.copy_(there, non_blocking=True)
        torch.cuda.synchronize()


class Ipc:
    """Device memory by torch's own handles of a storage (cudaIpcGetMemHandle)."""

    def __init__(self, handle: Any = None, _: list[int] | None = None) -> None:
        torch.cuda.init()
        self.descriptors: list[int] = []
        if handle is None:
            storage = torch.zeros(SIZE, dtype=torch.uint8, device="cuda").untyped_storage()
            handle = storage._share_cuda_()
        else:
            storage = torch.UntypedStorage._new_shared_cuda(*handle)
        self.handle, self.memory = handle, torch.empty(0, dtype=torch.uint8, device="cuda").set_(storage)

    def add_one(self) -> None:
        self.memory += 1
        torch.cuda.synchronize()

    def holds(self, value: int) -> bool:
        return bool((self.memory == value).all())


class Vmm(Ipc):
    """Device memory by a file descriptor (cuMemExportToShareableHandle)."""

    def __init__(self, _: Any = None, descriptors: list[int] | None = None) -> None:
        driver = importlib.import_module("cuda.bindings.driver")
        torch.zeros(1, device="cuda")  # makes the context that the calls below work in
        kind = driver.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
        if descriptors:
            memory = _must(driver.cuMemImportFromShareableHandle(descriptors[0], kind))
        else:
            wanted = driver.CUmemAllocationProp()
            wanted.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
            wanted.location = _here(driver)
            wanted.requestedHandleTypes = kind
            memory = _must(driver.cuMemCreate(SIZE, wanted, 0))  # 64 MB is a multiple of any granularity
            descriptors = [int(_must(driver.cuMemExportToShareableHandle(memory, kind, 0)))]
        self.handle, self.descriptors = None, descriptors
        address = _must(driver.cuMemAddressReserve(SIZE, 0, 0, 0))
        _must(driver.cuMemMap(address, SIZE, 0, memory, 0))
        access = driver.CUmemAccessDesc()
        access.location = _here(driver)
        access.flags = driver.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
        _must(driver.cuMemSetAccess(address, SIZE, [access], 1))
        self.__cuda_array_interface__ = {
            "shape": (SIZE,), "typestr": "|u1", "data": (int(address), False), "version": 3,
        }  # fmt: skip
        self.memory = torch.as_tensor(self, device="cuda")


def _here(driver: Any) -> Any:
    place = driver.CUmemLocation()
    place.type, place.id = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE, torch.cuda.current_device()
    return place


def _must(answer: tuple) -> Any:
    """The result of a call of the driver's; raises RuntimeError where there is none."""
    code, *result = answer
    if int(code) != 0:
        raise RuntimeError(str(code))
    return result[0] if result else None


WAYS: dict[str, type[Host] | type[Ipc]] = {
    "host memory": Host,
    "pinned host memory": Pinned,
    "CUDA VMM descriptor": Vmm,
    "CUDA IPC": Ipc,
}
ROWS = {f"64 MB there and back: pinned host memory / {way}": way for way in ("CUDA VMM descriptor", "CUDA IPC")}


def serve(way: str, descriptor: int) -> None:
    """The process in the sandbox: attach, then do as one byte says until the other side is gone."""
    with socket.socket(fileno=descriptor) as sock:
        try:
            message, descriptors, _, _ = socket.recv_fds(sock, MAX_MESSAGE, 1)
            shared = WAYS[way](pickle.loads(message), descriptors)
            sock.send(b"ready")
            while wish := sock.recv(1):
                if wish == b"w":
                    shared.add_one()
                sock.send(b"done ")
        except Exception as error:
            sock.send(f"{type(error).__name__}: {error}".encode())


def exchange(way: str, bwrap: str, repeats: int) -> dict[str, float]:
    """Microseconds of an empty round trip and of one that adds to 64 MB.

    Raises:
        RuntimeError: the way does not work, with what was said on either side.
    """
    shared = WAYS[way]()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    command = [bwrap, "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    command += [*Cuda().binds(), "--die-with-parent", "--", sys.executable, __file__, "--child", way]
    with subprocess.Popen([*command, str(theirs.fileno())], pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        try:
            socket.send_fds(ours, [pickle.dumps(shared.handle)], shared.descriptors)
            _expect(ours, b"ready")
            empty = [_timed(ours, b"e") for _ in range(repeats)]
            full = []
            for turn in range(repeats):
                shared.memory.fill_(turn % 200)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                full.append(_timed(ours, b"w"))
                if not shared.holds(turn % 200 + 1):
                    raise RuntimeError(f"turn {turn}: the other side's work is not in the shared memory")
        except TimeoutError:
            raise RuntimeError(f"no answer within {PATIENCE_S:g} s") from None
        finally:
            ours.close()
            process.kill()
    return {"empty, us": 1e6 * statistics.median(empty), "64 MB, us": 1e6 * statistics.median(full)}


def _timed(sock: socket.socket, wish: bytes) -> float:
    began = time.perf_counter()
    sock.send(wish)
    _expect(sock, b"done ")
    return time.perf_counter() - began


def _expect(sock: socket.socket, wanted: bytes) -> None:
    said = sock.recv(MAX_MESSAGE)
    if said != wanted:
        raise RuntimeError(said.decode(errors="replace") or "the process in the sandbox ended without a word")


def measure(repeats: int) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """The times of each way that works, and for the details what was said by those that do not."""
    times: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {}
    try:
        bwrap = bring_bubblewrap()
    except (OSError, subprocess.CalledProcessError) as error:
        return times, {"not measured": str(error)}
    for way in WAYS:
        try:
            times[way] = exchange(way, bwrap, repeats)
            details[way] = {name: round(us, 1) for name, us in times[way].items()}
        except Exception as error:  # whatever a way dies of is what we want to know
            details[way] = f"does not work: {type(error).__name__}: {error}"
    return times, details


def main() -> None:
    options = arguments(str(__doc__))
    times, details = {}, {"not measured": "no CUDA device here"}
    if torch.cuda.is_available():
        times, details = measure(20 if options.quick else 100)
    rows = []
    for row, way in ROWS.items():
        if way in times and "pinned host memory" in times:
            ratio = round(times["pinned host memory"]["64 MB, us"] / times[way]["64 MB, us"], 2)
            rows.append(Row(row, ratio, ratio, ratio, float("nan")))
        else:
            rows.append(missing(row, float("nan")))
    report("probe_sharing", rows, details, options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
