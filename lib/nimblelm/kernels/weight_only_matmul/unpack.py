"""Four bits to a number that a tensor core can multiply, without a conversion instruction."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportReturnType=false

import triton
import triton.language as tl

# n in the low mantissa bits of 2^7 (bfloat16) or 2^10 (float16) is 2^7 + n or 2^10 + n; subtracting 2^7 + 8 or
# 2^10 + 8 leaves n - 8, exactly. Two numbers to a register, so eight weights cost 12 instructions. $4 holds four
# bytes; $0 and $1 become their low halves, $2 and $3 their high ones. 0xea: (a and b) or c.
_PTX = """{{
.reg .b32 a, b, c;
prmt.b32 a, $4, 0, 0x4140;
prmt.b32 b, $4, 0, 0x4342;
lop3.b32 $0, a, 0x000f000f, {base}, 0xea;
lop3.b32 $1, b, 0x000f000f, {base}, 0xea;
shr.u32 a, a, 4;
shr.u32 b, b, 4;
lop3.b32 $2, a, 0x000f000f, {base}, 0xea;
lop3.b32 $3, b, 0x000f000f, {base}, 0xea;
mov.b32 c, {centre};
sub.{kind}x2 $0, $0, c;
sub.{kind}x2 $1, $1, c;
sub.{kind}x2 $2, $2, c;
sub.{kind}x2 $3, $3, c;
}}"""
PTX_BF16 = tl.constexpr(_PTX.format(base="0x43004300", centre="0x43084308", kind="bf16"))
PTX_FP16 = tl.constexpr(_PTX.format(base="0x64006400", centre="0x64086408", kind="f16"))


@triton.jit
def unpack_int4(packed, dtype: tl.constexpr, PTX: tl.constexpr):
    """The two values of each byte, from -8 to 7, low half first.

    The trick for float16 is from Kim et al., 2022, arXiv:2211.10017.

    Args:
        packed: uint8; four neighbours along its last axis must lie in one thread where PTX is set.
        dtype: of the result.
        PTX: by the instructions above, else in plain Triton, as the interpreter needs.

    Chapter: book/ch02_speculative_decoding
    """
    if PTX and dtype == tl.bfloat16:
        return tl.inline_asm_elementwise(
            PTX_BF16, "=r,=r,=r,=r,r", [packed], dtype=(tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
        )
    elif PTX and dtype == tl.float16:
        return tl.inline_asm_elementwise(
            PTX_FP16, "=r,=r,=r,=r,r", [packed], dtype=(tl.float16, tl.float16), is_pure=True, pack=4
        )
    else:
        return ((packed & 15).to(tl.int8) - 8).to(dtype), ((packed >> 4).to(tl.int8) - 8).to(dtype)
