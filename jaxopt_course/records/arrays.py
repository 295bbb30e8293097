"""Named arrays as bytes: NumPy's ``.npz``, and nothing in it that needs more memory than its bytes.

npz needs nothing but NumPy, and no pickle.
"""

import io
import math
import tokenize
import zipfile
from collections.abc import Mapping

import numpy as np

MAX_HEADER = 1 << 16  # bytes before an array's own
NO_ARRAYS = (  # from zipfile, and from NumPy, which reads headers with Python's own parser
    *(zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError),
    *(SyntaxError, tokenize.TokenError, MemoryError),
)


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as bytes; dtypes that npz has no name for must come as bytes of their own."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """The arrays that :func:`pack` made bytes of.

    Raises:
        ValueError: they are damaged, or claim to be larger than they are.
    """
    found: dict[str, np.ndarray] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                total += entry.file_size  # of entries that share their bytes, too
                if entry.compress_type != zipfile.ZIP_STORED or total > len(content):
                    raise ValueError(f"{entry.filename} is larger than it can be")
                if name in found:
                    raise ValueError(f"{name} is there twice")
                found[name] = _array(archive.read(entry))
    except NO_ARRAYS as error:
        raise ValueError(f"no arrays: {error}") from None
    return found


def _array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = read[version](stream, max_header_size=MAX_HEADER)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != len(content) - stream.tell():
        raise ValueError(f"an array of {shape} {dtype} in {len(content)} bytes")
    flat = np.frombuffer(content, dtype, offset=stream.tell()).copy()
    return flat.reshape(shape, order="F" if fortran else "C")
