"""Compile a Triton kernel for a Hopper GPU on a machine that has none, and read what the compiler says of it.

A guard holds `compile_for_hopper(...).faults()` against the empty list: `faults` names each way in which a kernel that
still gives right results has silently become a slow one, or one that will not launch.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory
from typing import Any

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas, sm_arch_from_capability
from triton.compiler import ASTSource
from triton.experimental.gluon._runtime import GluonASTSource, GluonJITFunction

HOPPER = GPUTarget("cuda", 90, 32)
SHARED_BYTES_LIMIT = 232_448  # 227 KiB: all that one block may have of an sm_90 multiprocessor's 228 KiB


@dataclass(frozen=True)
class Compiled:
    """What Triton and ptxas say of one kernel in one configuration."""

    name: str
    ptx: str
    cubin: bytes
    shared_bytes: int
    num_warps: int  # with the warps that warp specialisation adds
    registers: int  # a thread
    spill_bytes: int  # stores and loads
    warnings: tuple[str, ...]  # of ptxas, such as serialised wgmma

    @property
    def wgmma(self) -> bool:
        return "wgmma.mma_async" in self.ptx

    @property
    def tma(self) -> bool:
        return "cp.async.bulk.tensor" in self.ptx

    def faults(self, wgmma: bool = True, tma: bool = False) -> list[str]:
        """What must not be in a shipped configuration, one sentence each: empty when all is well.

        Args:
            wgmma: the kernel must multiply with Hopper's asynchronous tensor-core instruction.
            tma: the kernel must load its tiles by tensor descriptors.
        """
        found = []
        if self.shared_bytes > SHARED_BYTES_LIMIT:
            found.append(f"{self.shared_bytes} bytes of shared memory, the limit is {SHARED_BYTES_LIMIT}")
        if self.spill_bytes:
            found.append(f"{self.spill_bytes} bytes of registers spilled")
        if wgmma and not self.wgmma:
            found.append("no wgmma.mma_async")
        if tma and not self.tma:
            found.append("no cp.async.bulk.tensor")
        found += [line for line in self.warnings if "serialized" in line]
        return found


def compile_for_hopper(kernel, signature: dict[str, str], constants: dict[str, Any], **options) -> Compiled:
    """Compile for sm_90 with the ptxas that Triton would use; results are kept in Triton's cache.

    Args:
        kernel: a `triton.jit` or `gluon.jit` function.
        signature: the type of each argument that is not in constants: "*bf16", "i32", "fp32",
            "tensordesc<bf16[128, 64]>". An int written "i32:16" is known to be divisible by 16, as Triton finds out by
            itself at a launch; pointers always are, as torch's allocations are.
        constants: the value of each `tl.constexpr` argument.
        options: num_warps, num_stages, maxnreg.

    Raises:
        triton.CompilationError, triton.runtime.errors.PTXASError: it does not compile.
    """
    names = kernel.arg_names
    if missing := set(names) - set(signature) - set(constants):
        raise ValueError(f"neither signature nor constants say what {sorted(missing)} are")
    types = {name: signature.get(name, "constexpr").removesuffix(":16") for name in names}
    divisible = {
        (i,): [["tt.divisibility", 16]]
        for i, name in enumerate(names)
        if signature.get(name, "").startswith("*") or signature.get(name, "").endswith(":16")
    }
    source_class = GluonASTSource if isinstance(kernel, GluonJITFunction) else ASTSource
    source = source_class(kernel, types, {name: constants[name] for name in names if name in constants}, divisible)
    with knobs.runtime.scope():
        knobs.runtime.add_stages_inspection_hook = _keep_the_log  # pyright: ignore[reportAttributeAccessIssue]
        # ptx_options goes into the cache's key: entries made at a launch, which lack the log, are not mistaken for ours
        built = triton.compile(source, target=HOPPER, options={**options, "ptx_options": "-v"})
    log = built.metadata.ptxas_log
    return Compiled(
        name=built.metadata.name,
        ptx=built.asm["ptx"],
        cubin=built.asm["cubin"],
        shared_bytes=built.metadata.shared,
        num_warps=built.metadata.num_warps,
        registers=max(int(n) for n in re.findall(r"Used (\d+) registers", log)),
        spill_bytes=sum(int(n) for n in re.findall(r"(\d+) bytes spill", log)),
        warnings=tuple(line for line in log.splitlines() if re.search("warning|Potential Performance Loss", line)),
    )


def _keep_the_log(backend, stages, options, language, capability):
    """Replace the last stage, which throws the assembler's log away, by one that keeps it in the metadata."""

    def assemble(ptx: str, metadata: dict) -> bytes:
        with TemporaryDirectory() as folder:
            file, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
            file.write_text(ptx)
            arch = sm_arch_from_capability(capability)
            command = [get_ptxas(capability).path, "-v", f"--gpu-name={arch}", file, "-o", cubin]
            ended = run(command, capture_output=True, text=True)
            if ended.returncode:
                raise triton.runtime.errors.PTXASError(ended.stderr)
            metadata["ptxas_log"] = ended.stderr
            return cubin.read_bytes()

    stages["cubin"] = assemble
