"""Named arrays as others read them: the format of safetensors, and odd files in it."""

import json
import random

import ml_dtypes
import numpy as np
import pytest

from jaxopt_course.records import safetensors

# of safetensors 0.8.0: save({"b": [[1, 2]] int32, "a": [0.5] float32, "c": [True]}, {"made": "by"})
PUBLISHED = bytes.fromhex(
    "c8000000000000007b225f5f6d657461646174615f5f223a7b226d616465223a226279227d2c2261223a7b226474797065"
    "223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b302c345d7d2c2262223a7b2264"
    "74797065223a22493332222c227368617065223a5b312c325d2c22646174615f6f666673657473223a5b342c31325d7d2c"
    "2263223a7b226474797065223a22424f4f4c222c227368617065223a5b315d2c22646174615f6f666673657473223a5b31"
    "322c31335d7d7d20202020200000003f010000000200000001"
)
ARRAYS = {
    "a": np.float32([0.5]),
    "b": np.array([[1, 2]], np.int32),
    "c": np.array([True]),
}


def test_the_bytes_of_the_package_itself():
    assert safetensors.pack(ARRAYS, {"made": "by"}) == PUBLISHED
    arrays, metadata = safetensors.unpack(PUBLISHED)
    assert metadata == {"made": "by"}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("dtype", list(safetensors.NAMES))
def test_every_dtype_travels(dtype):
    kind = getattr(ml_dtypes, dtype, None) or np.dtype(dtype)
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    back = safetensors.unpack(safetensors.pack({"x": array, "y": array[0, 0]})).arrays
    assert back["x"].dtype == array.dtype and back["x"].tobytes() == array.tobytes()
    assert back["y"].shape == ()


def test_big_endian_and_strided_arrays_are_written_as_the_format_has_them():
    array = np.arange(12, dtype=">i4").reshape(3, 4).T
    back = safetensors.unpack(safetensors.pack({"x": array})).arrays["x"]
    np.testing.assert_array_equal(back, array)


def test_what_the_format_does_not_have_is_said():
    with pytest.raises(ValueError, match="no dtype 'complex128', which x has"):
        safetensors.pack({"x": np.zeros(2, complex)})
    with pytest.raises(ValueError, match="keeps the name '__metadata__'"):
        safetensors.pack({"__metadata__": np.zeros(2)})


def spoilt(change, data=8):
    """A file of one array, its header changed."""
    header = {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    header = change(header) or header
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def entry(**values):
    return lambda header: header["x"].update(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a header of 0 bytes in 0"),
        (b"\xff" * 20, "no safetensors: a header of"),
        (b"\x04" + bytes(7) + b"nope", "its header is no JSON"),
        (spoilt(lambda _: [1]), "its header is no dictionary"),
        (spoilt(entry(shape=[10**12])), "is .1000000000000. F32 in 8 bytes"),
        (spoilt(entry(shape=[-2])), "no numbers"),
        (spoilt(entry(shape=[True, 2])), "no numbers"),
        (spoilt(entry(shape="ab")), "no numbers"),
        (spoilt(entry(shape=[1] * 40)), "in 8 bytes"),
        (spoilt(entry(data_offsets=[4, 12])), "does not begin where"),
        (spoilt(entry(data_offsets=[0, 8, 16])), "lacks a dtype, a shape or offsets"),
        (spoilt(entry(dtype="F4")), "'F4', which is not known"),
        (spoilt(entry(dtype=[1])), "which is not known"),
        (spoilt(lambda header: header | {"__metadata__": {"a": 1}}), "metadata is no text"),
        (spoilt(lambda header: header | {"y": header["x"]}), "does not begin where"),
        (spoilt(lambda _: None, data=9), "take 8 bytes, and it has 9"),
        (spoilt(lambda _: None, data=4), "take 8 bytes, and it has 4"),
    ],
)
def test_what_does_not_fit_its_bytes_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        safetensors.unpack(content)


def test_odd_bytes_get_an_answer():
    moments = random.Random(0)
    for _ in range(2_000):
        content = bytearray(PUBLISHED)
        for _ in range(moments.randint(1, 4)):
            place = moments.randrange(len(content))
            content[place : place + moments.randrange(3)] = moments.randbytes(moments.randrange(3))
        try:
            arrays = safetensors.unpack(bytes(content)).arrays
        except ValueError:
            continue
        assert sum(x.nbytes for x in arrays.values()) <= len(content)


def test_arrays_lie_in_any_order():
    """A header may name them otherwise than their bytes follow each other."""
    header = {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
        "b": {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]},
    }
    text = json.dumps(header).encode()
    content = np.array([1, 2], "<i4").tobytes() + np.array([0.5], "<f4").tobytes()
    arrays = safetensors.unpack(len(text).to_bytes(8, "little") + text + content).arrays
    assert arrays["a"].tolist() == [0.5] and arrays["b"].tolist() == [1, 2]
