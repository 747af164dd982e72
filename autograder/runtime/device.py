"""What differs between devices for judge and worker: the clock that decides, waiting, the L2 cache, health.

`Device` is the CPU. Judge and worker each make an object of the same class by name; nothing of it crosses between them.
A new kind of device is a class here and a line in DEVICES.
"""

import contextlib
import fcntl
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

PROOF = """import sys; sys.path[:0] = sys.argv[2:]
from autograder.runtime.device import by_name; by_name(sys.argv[1]).prove()"""
PROOF_S = 60.0  # for a process of its own to import torch, open the device and compute
SWEEPS, BUSY = 20, 2.0  # sweeps of L2, and how much longer they take where something else is running
SETTLE_S = 1.0
NODES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm", "nvidia-caps")


class Busy(Exception):
    """Something that is no work of a student's runs on the device."""


class Device:
    """The CPU: work is done when a call returns, and the worker's CPU time, read from outside, decides."""

    by_wall = False  # what decides: the judge's clock from the call until the captured bytes are private, or CPU time
    noise: float | None = None  # how far two blocks of the reference may lie apart; None: as far as on shared cores
    starts_programs = False  # whether a worker may: Triton's compiler does
    bounded = True  # whether a worker's address space can be limited

    @property
    def name(self) -> str:
        return f"{type(self).__module__}:{type(self).__name__}"

    def is_here(self) -> bool:
        """Whether this machine has it."""
        return True

    # in the sandbox's command line
    def binds(self, folder: Path = Path("/dev")) -> list[str]:
        """Options of bubblewrap that show a worker the device's files."""
        return []

    def environment(self) -> dict[str, str]:
        """Variables of a worker."""
        return {"TRITON_INTERPRET": "1"}

    # in the worker
    def pin(self, memory: torch.Tensor) -> None:
        """Make copies out of and into the bytes that judge and worker share as fast as they can be."""

    def receive(self, memory: torch.Tensor) -> torch.Tensor:
        """A copy of some of these bytes where the student's function works."""
        return memory.clone()

    def synchronize(self) -> None:
        """Wait for all work of this process, whatever stream it is on."""

    # in the judge
    def reserved(self) -> AbstractContextManager[object]:
        """Holds it for one exercise, where work of another judge would disturb it."""
        return contextlib.nullcontext()

    def flush(self) -> None:
        """Drop what the device has cached, so that no call finds its inputs there."""

    def is_idle(self) -> bool:
        """Whether no work is left on it."""
        return True

    def is_well(self) -> bool:
        """Whether it still answers, after a worker that hung or crashed was killed."""
        return True

    def state(self) -> dict[str, Any]:
        """Clocks and whatever else is worth a line in the audit."""
        return {}

    def prove(self) -> None:
        """Compute something whose result is known; ends the process with status 1 where it is wrong."""


class Cuda(Device):
    """An Nvidia GPU. Tensors reach it through pinned host memory, and the copies are timed on both sides."""

    by_wall, noise, starts_programs, bounded = True, 0.03, True, False

    def __init__(self) -> None:
        self._sweep: torch.Tensor | None = None
        self._quiet_s = 0.0  # of SWEEPS sweeps before any student's code ran

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        with open(Path(tempfile.gettempdir()) / f"nimblelm-gpu-{os.getuid()}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.flush()  # while no student's code runs: how long does it take?
            yield

    def is_here(self) -> bool:
        return torch.cuda.is_available()

    def binds(self, folder: Path = Path("/dev")) -> list[str]:
        found = sorted(path for pattern in NODES for path in folder.glob(pattern))
        return [option for path in found for option in ("--dev-bind", str(path), f"/dev/{path.name}")]

    def environment(self) -> dict[str, str]:
        chosen = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}
        return {"TRITON_INTERPRET": "0", **chosen}

    def pin(self, memory: torch.Tensor) -> None:
        if runtime := torch.cuda.cudart():
            runtime.cudaHostRegister(memory.data_ptr(), memory.numel(), 0)  # where it is refused it stays pageable

    def receive(self, memory: torch.Tensor) -> torch.Tensor:
        return memory.to("cuda")

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def flush(self) -> None:
        if self._sweep is None:
            size = 2 * torch.cuda.get_device_properties(0).L2_cache_size
            self._sweep = torch.empty(size, dtype=torch.uint8, device="cuda")
            self._sweeps_s()
            self._quiet_s = self._sweeps_s()
        self._sweep.zero_()
        torch.cuda.synchronize()

    def _sweeps_s(self) -> float:
        began = time.perf_counter()
        for _ in range(SWEEPS):
            self.flush()
        return time.perf_counter() - began

    def is_idle(self) -> bool:
        """Kernels of another process take turns with ours: then sweeps of L2 take longer than on the quiet device."""
        self.flush()
        end = time.monotonic() + SETTLE_S
        while self._sweeps_s() > BUSY * self._quiet_s:
            if time.monotonic() > end:
                return False
        return True

    def is_well(self) -> bool:
        return answers(self)

    def prove(self) -> None:
        if torch.arange(1000, device="cuda").sum().item() != 499_500:
            raise SystemExit(1)

    def state(self) -> dict[str, Any]:
        """Clocks in MHz, temperature, power and the reasons for throttling, where NVML is there."""
        try:
            import pynvml

            pynvml.nvmlInit()
            gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
            return {
                "sm_mhz": pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM),
                "memory_mhz": pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM),
                "celsius": pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU),
                "watts": pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
                "throttled_by": hex(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),
            }
        except Exception as error:  # a driver without it, or another version of the module: it only informs
            return {"nvml": f"{type(error).__name__}: {error}"}


CPU = Device()
DEVICES = {"gpu": "autograder.runtime.device:Cuda"}  # by what an exercise needs
WORDS = {"gpu": "a GPU"}


def by_name(name: str) -> Device:
    """A device of the class "module:class"."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def device_for(needs: str) -> Device | None:
    """The device that an exercise needs, None where this machine does not have it; the CPU where it names none."""
    if not needs:
        return CPU
    found = by_name(DEVICES[needs])
    return found if found.is_here() else None


def missing(needs: str) -> str:
    """What a student reads of a check that cannot be run here."""
    return f"This needs {WORDS[needs]}, and there is none here: it counts neither for you nor against you."


def answers(device: Device, patience_s: float = PROOF_S) -> bool:
    """Whether a process of its own gets a small known result from a device in time."""
    command = [sys.executable, "-c", PROOF, device.name, *filter(None, sys.path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return process.wait(patience_s) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # in the hands of a broken driver it may never end
            process.wait(1)
        return False
