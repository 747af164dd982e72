"""Read the machine code of a compiled kernel for a fault of the assembler that no result on a CPU can show.

A wgmma may take its left operand from registers, and reads them while later instructions already run. ptxas before 13.3
can give such a register to another value too early: then products are wrong, now and then (triton-lang/triton#9433).
Here every path from each such instruction to the next wait is walked, and what writes to its operand on the way is
named. That is stricter than need be (a scoreboard could hold the write back); what passes is safe.
"""

import re
import subprocess
from tempfile import NamedTemporaryFile

from triton import knobs

REGISTERS = 4  # of a 64 x 16 operand of 16-bit numbers, or 64 x 8 of 32-bit ones: 32 bytes of each thread of 128
FROM_REGISTERS = re.compile(r"HGMMA\.\S+ R\d+, R(\d+), gdesc")
WAIT = "WARPGROUP.DEPBAR.LE gsb0, 0x0"
# these read their first register, or name none that they write
READERS = ("ST", "RED", "BRA", "BAR", "SYNCS", "UTMA", "WARPGROUP", "ISETP", "FSETP", "R2UR", "R2P", "EXIT", "FENCE")


def disassemble(cubin: bytes) -> list[str]:
    """Lines of the machine code: instructions, and labels that end in a colon."""
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([knobs.nvidia.nvdisasm.path, "-c", file.name], capture_output=True, text=True, check=True)
    found = re.findall(r"^(\.L_x_\d+:)|^\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", text.stdout, re.MULTILINE)
    return [label or instruction for label, instruction in found]


def overwritten_operands(lines: list[str]) -> list[str]:
    """Each instruction that may write to a register that a wgmma before it may still read."""
    labels = {line[:-1]: at for at, line in enumerate(lines) if line.endswith(":")}
    found = []
    for at, line in enumerate(lines):
        if not (reader := FROM_REGISTERS.search(line)):
            continue
        operand = set(range(int(reader[1]), int(reader[1]) + REGISTERS))
        ahead, seen = [at + 1], set()
        while ahead:
            here = ahead.pop()
            if here in seen or here >= len(lines) or WAIT in lines[here]:
                continue
            seen.add(here)
            if operand & set(written(lines[here])):
                found.append(f"{lines[here]} follows {line}")
                continue
            branch = re.search(r"BRA (?:`\()?(\.L_x_\d+)", lines[here])
            if branch:
                ahead.append(labels[branch[1]])
            if not re.match("BRA|EXIT", lines[here]):  # a predicated one may fall through
                ahead.append(here + 1)
    return found


def written(instruction: str) -> range:
    """The general registers to which an instruction writes."""
    operation, _, operands = re.sub(r"^@!?U?P\w+ +", "", instruction).partition(" ")
    first = re.match(r"\s*(?:U?P\w+, )?R(\d+)\b", operands)
    if operation.startswith(READERS) or not first:
        return range(0)
    if operation.startswith("HGMMA"):
        width = int(re.search(r"64x(\d+)x", operation)[1]) // 2
    elif "128" in operation or operation.endswith("M88.4"):
        width = 4
    else:
        width = 2 if re.search(r"WIDE|64|M88\.2", operation) else 1
    return range(int(first[1]), int(first[1]) + width)
