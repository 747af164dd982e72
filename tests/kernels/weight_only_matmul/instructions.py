"""Machine instructions of a compiled kernel's main loop, read from its disassembly."""

import re
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

from triton import knobs
from triton.backends.nvidia.compiler import get_ptxas, sm_arch_from_capability

from tests.kernels.compile_only import Compiled


def loop_instructions(built: Compiled) -> int:
    """Length of the longest loop, in instructions of one warp."""
    with TemporaryDirectory() as folder:
        ptx, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        ptx.write_text(built.ptx)
        run([get_ptxas(90).path, f"--gpu-name={sm_arch_from_capability(90)}", ptx, "-o", cubin], check=True)
        listing = run([knobs.nvidia.nvdisasm.path, cubin], capture_output=True, text=True, check=True).stdout
    labels, lengths, count = {}, [0], 0
    for line in listing.splitlines():
        if label := re.match(r"(\.L_\w+):", line):
            labels[label[1]] = count
        elif re.match(r"\s+/\*[0-9a-f]{4,}\*/\s", line):
            count += 1
            if (jump := re.search(r"BRA.*`\((\.L_\w+)\)", line)) and jump[1] in labels:
                lengths.append(count - labels[jump[1]])
    return max(lengths)
