"""The unpacking instructions, which the interpreter cannot run, executed by a model of PTX."""

import pytest
import torch

from nimblelm.kernels.weight_only_matmul.unpack import PTX_BF16, PTX_FP16
from tests.kernels.weight_only_matmul.ptx import run_ptx


def unpacked(ptx, dtype, four_bytes):
    """What `inline_asm_elementwise` with pack=4 hands back: the low halves' four values, then the high halves'."""
    registers = run_ptx(ptx.value, {"$4": int.from_bytes(bytes(four_bytes), "little")})
    words = [registers[f"${i}"] for i in range(4)]
    signed = torch.tensor([word - (word >> 31 << 32) for word in words], dtype=torch.int32)
    return signed.view(dtype).float().tolist()


@pytest.mark.parametrize(
    ("ptx", "dtype"), [(PTX_BF16, torch.bfloat16), (PTX_FP16, torch.float16)], ids=["bf16", "fp16"]
)
def test_every_byte_in_every_place_becomes_its_two_numbers(ptx, dtype):
    for byte in range(256):
        four = [byte, (byte * 7 + 1) % 256, (byte * 31 + 5) % 256, 255 - byte]
        for place in range(4):
            rotated = four[place:] + four[:place]
            expected = [float((b & 15) - 8) for b in rotated] + [float((b >> 4) - 8) for b in rotated]
            assert unpacked(ptx, dtype, rotated) == expected
