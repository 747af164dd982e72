"""Do a function's tensors fit each other? One answer for every attention function and product: a ValueError."""

from torch import Tensor


def check_fit(**tensors: tuple[Tensor, str]) -> None:
    """Compare sizes as `check_sizes` does, dtypes and devices.

    Floating tensors must be of one dtype, and all tensors on one device. It costs microseconds: before a step of
    decoding stands `check_attention`.

    Raises:
        ValueError: names what does not fit.
    """
    check_sizes(**tensors)
    check_dtype_and_device(**{name: x for name, (x, _) in tensors.items()})


def check_sizes(**tensors: tuple[Tensor, str]) -> None:
    """Compare sizes: `check_sizes(q=(q, "B T H D"), k=(k, "B S H D"))`.

    A name stands for one size wherever it is written, a number for itself, `...` for any sizes, the same wherever it is
    written.

    Raises:
        ValueError: names the tensors, the dimension and both sizes.
    """
    known: dict[str, tuple[object, str]] = {}  # name of a size -> the size, and the tensor that it was read from
    for name, (x, pattern) in tensors.items():
        for dimension, size in _dimensions(name, x, pattern):
            first, where = known.setdefault(dimension, (size, name))
            if dimension.isdigit() and size != int(dimension):
                raise ValueError(f"{name} {tuple(x.shape)} has {size} where {dimension} is needed")
            if first != size:
                other = tuple(tensors[where][0].shape)
                raise ValueError(
                    f"{where} {other} and {name} {tuple(x.shape)} do not fit: {dimension} is {first} and {size}"
                )


def check_dtype_and_device(**tensors: Tensor) -> None:
    """Floating tensors of one dtype, all tensors on one device.

    Raises:
        ValueError: names each tensor with its dtype or device.
    """
    dtypes = {name: x.dtype for name, x in tensors.items() if x.is_floating_point()}
    devices = {name: x.device for name, x in tensors.items()}
    for found, what in ((dtypes, "one dtype"), (devices, "one device")):
        if len(set(found.values())) > 1:
            raise ValueError(f"{what} is needed: " + ", ".join(f"{name} is {value}" for name, value in found.items()))


def check_attention(q: Tensor, k: Tensor, v: Tensor) -> None:
    """q (B, Sq, H, D) against k and v (B, Sk, Hkv, D) with Hkv a divisor of H, in one dtype, on one device.

    A single comparison where all is well: this stands before every step of decoding.

    Raises:
        ValueError: names what does not fit.
    """
    queries, keys = q.shape, k.shape
    if (
        len(queries) == 4 == len(keys)
        and keys == v.shape
        and queries[0] == keys[0]
        and queries[3] == keys[3] > 0
        and keys[2] > 0 == queries[2] % keys[2]
        and q.dtype is k.dtype is v.dtype
        and q.device == k.device == v.device
    ):
        return
    check_fit(q=(q, "B Sq H D"), k=(k, "B Sk Hkv D"), v=(v, "B Sk Hkv D"))
    if queries[3] == 0:
        raise ValueError(f"q {tuple(queries)} has a head_dim of 0")
    raise ValueError(f"{queries[2]} query heads are not a multiple of {keys[2]} key-value heads")


def check_decoding(q: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> None:
    """`check_attention`, and lengths (B), on the same device.

    Raises:
        ValueError: names what does not fit.
    """
    check_attention(q, keys, values)
    if lengths.shape != q.shape[:1]:
        raise ValueError(f"lengths {tuple(lengths.shape)} are not one for each of {q.shape[0]} sequences")
    if lengths.device != q.device:
        raise ValueError(f"lengths are on {lengths.device}, q is on {q.device}")


def check_mask(mask: Tensor, name: str, q: Tensor, *sizes: int) -> None:
    """A mask of (1 or B, 1 or H, *sizes) for q (B, S, H, D), on its device.

    Raises:
        ValueError: names the mask's shape and the shape that is needed.
    """
    batch, _, heads, _ = q.shape
    shape = tuple(mask.shape)
    if len(shape) != 4 or shape[0] not in (1, batch) or shape[1] not in (1, heads) or shape[2:] != sizes:
        needed = ", ".join(map(str, (f"1 or {batch}", f"1 or {heads}", *sizes)))
        raise ValueError(f"{name} {shape} do not fit q {tuple(q.shape)}: ({needed}) is needed")
    check_dtype_and_device(q=q, **{name: mask})


def _dimensions(name: str, x: Tensor, pattern: str) -> list[tuple[str, object]]:
    """(name, size) of each dimension of a pattern."""
    names, shape = pattern.split(), tuple(x.shape)
    if "..." in names:
        at, rest = names.index("..."), len(shape) - (len(names) - 1)
        if rest >= 0:
            sizes = [*shape[:at], shape[at : at + rest], *shape[at + rest :]]
            return list(zip(names, sizes, strict=True))
    elif len(names) == len(shape):
        return list(zip(names, shape, strict=True))
    raise ValueError(f"{name} {shape} is not ({', '.join(names)})")
