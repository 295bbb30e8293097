"""Named arrays as bytes in the format of ``safetensors``, which every framework reads.

    8 bytes     n, the length of the header, little-endian
    n bytes     JSON: name -> {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, and
                "__metadata__" -> {text: text}
    the rest    the arrays, little-endian, the last axis fastest, without holes

After the format's description at https://github.com/huggingface/safetensors.  Nothing in a file is
believed: what does not fit its bytes is refused before an array is made, and arrays are views of
the bytes, so that reading takes no more memory than the file.
"""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

METADATA = "__metadata__"
MAX_HEADER = 1 << 26  # bytes; a name and a shape take about a hundred
SUFFIX = ".safetensors"
NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "float16": "F16",
    "uint32": "U32", "int32": "I32", "float32": "F32", "uint64": "U64", "int64": "I64",
    "float64": "F64", "complex64": "C64", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}  # fmt: skip
DTYPES = {code: name for name, code in NAMES.items()}


class Tensors(NamedTuple):
    """What a file holds."""

    arrays: dict[str, np.ndarray]  # read-only
    metadata: dict[str, str]


def pack(arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """The arrays as bytes.

    Args:
        arrays: by name.
        metadata: text by name.

    Raises:
        ValueError: a dtype that the format does not have, or a name that it keeps for itself.
    """
    whole = {name: np.asarray(x) for name, x in arrays.items()}
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    parts, begin = [], 0
    for name in sorted(whole, key=lambda n: (-whole[n].dtype.itemsize, n)):  # so each is aligned
        array = whole[name]
        if array.dtype.name not in NAMES:
            raise ValueError(f"safetensors has no dtype {array.dtype.name!r}, which {name} has")
        if name == METADATA:
            raise ValueError(f"safetensors keeps the name {METADATA!r} for itself")
        content = _little(array).tobytes()
        header[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, begin + len(content)],
        }
        parts.append(content)
        begin += len(content)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpack(content: bytes) -> Tensors:
    """The arrays that :func:`pack`, or another writer of the format, made bytes of.

    Raises:
        ValueError: they are damaged, or claim to be what their bytes are not.
    """
    header, start = _header(content)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise ValueError("its metadata is no text")
    places = {name: _place(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, begin, stop) in sorted(places.items(), key=lambda one: one[1][2:]):
        if begin != end:
            raise ValueError(f"{name!r} does not begin where the array before it ends")
        end = stop
    if end != len(content) - start:
        raise ValueError(f"its arrays take {end:,} bytes, and it has {len(content) - start:,}")
    data = memoryview(content)[start:]
    arrays = {
        name: _native(np.frombuffer(data[begin:stop], dtype).reshape(shape))
        for name, (dtype, shape, begin, stop) in places.items()
    }
    return Tensors(arrays, metadata)


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_HEADER, len(content) - 8):
        raise ValueError(f"no safetensors: a header of {length:,} bytes in {len(content):,}")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no safetensors: its header is no JSON ({error})") from None
    if not isinstance(header, dict):
        raise ValueError("no safetensors: its header is no dictionary")
    return header, 8 + length


def _place(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Dtype, shape and bytes of an array, which agree with each other."""
    try:
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        begin, stop = offsets
        numbers = [*shape, begin, stop]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{name!r} lacks a dtype, a shape or offsets") from None
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise ValueError(f"{name!r} has a shape or offsets that are no numbers")
    if not isinstance(code, str) or code not in DTYPES:
        raise ValueError(f"{name!r} is of dtype {str(code)[:40]!r}, which is not known here")
    dtype = _dtype(DTYPES[code])
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != stop - begin:
        raise ValueError(f"{name!r} is {str(shape)[:60]} {code} in {stop - begin:,} bytes")
    return dtype, tuple(shape), begin, stop


def _dtype(name: str) -> np.dtype:
    if name.startswith(("bfloat", "float8")):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


def _little(array: np.ndarray) -> np.ndarray:
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        return array.astype(array.dtype.newbyteorder("<"))
    return array


def _native(array: np.ndarray) -> np.ndarray:
    return array.byteswap() if sys.byteorder == "big" else array
