"""Compiled programs that stay on disk: the same bits from there, and a directory in order."""

import os
import pathlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_course.cli import programs as command
from jaxopt_course.records import programs
from jaxopt_course.records.programs import Programs
from jaxopt_course.studies.compiled import kept_programs
from jaxopt_course.sweeps import loading
from jaxopt_course.sweeps.program import lower

X = np.linspace(-1, 1, 24, dtype=np.float32)


class Options:
    def __init__(self, no_cache=False):
        self.no_cache = no_cache


@pytest.fixture
def no_directory(monkeypatch, tmp_path):
    """JAX has none, as in a user's process, and the user's cache is elsewhere."""
    was = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(command.sys, "platform", "linux")
    yield tmp_path / "cache"
    jax.config.update("jax_compilation_cache_dir", was)


@pytest.fixture
def kept(no_jax_cache, tmp_path):
    """A directory with a program, its file, and what the program gives."""
    outputs, _ = once(tmp_path, jax.devices()[:1])
    (file,) = tmp_path.iterdir()
    return tmp_path, file, outputs


def once(directory, devices, options=None, factor=2.0):
    """What a program gives on each device, and for how many devices it was lowered."""
    lowered = []

    def lowering(device):
        lowered.append(device)
        return lower(jax.jit(lambda x: jnp.sort(jnp.sin(x * factor))), (X,), device)

    given = [options or {}]
    ((made),), _ = loading.compile_all([lowering], given, devices, Programs(directory))
    outputs = [np.asarray(f(jax.device_put(X, d))) for f, d in zip(made, devices, strict=True)]
    return [one.tobytes() for one in outputs], len(lowered)


def compilations(run):
    """What ``run`` returns, and how often the compiler, or JAX's own cache, was asked."""
    events = []
    listen = lambda event, seconds, **_: events.append(event.endswith("/backend_compile_duration"))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        return run(), sum(events)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_a_program_is_compiled_once_and_then_read_for_every_device(no_jax_cache, tmp_path):
    devices = jax.devices()[:2]
    once(tmp_path, devices[:1], factor=4.0)  # what NumPy and device_put compile
    (first, _), compiled = compilations(lambda: once(tmp_path, devices))
    assert compiled == 1
    (again, lowered), compiled = compilations(lambda: once(tmp_path, devices))
    assert (compiled, lowered) == (0, 1)
    assert first == again == first[::-1]
    (_, _), compiled = compilations(lambda: once(tmp_path, devices, factor=3.0))
    assert compiled == 1  # another text
    effort = {"xla_backend_optimization_level": 1}
    (_, _), compiled = compilations(lambda: once(tmp_path, devices, effort))
    assert compiled == 1  # other options
    assert len([*tmp_path.glob(f"*{programs.SUFFIX}")]) == 4


@pytest.mark.parametrize("other", ["of another name", "that others do not read"])
def test_programs_of_one_text_are_told_apart_by_what_they_read(no_jax_cache, tmp_path, other):
    """Arguments that nobody reads are dropped from the text, and names are not in it."""
    rows = {"a": np.float32(2.0), "b": np.float32(3.0)}
    second = {"b": rows["b"], "c": rows["a"]} if other == "of another name" else rows
    texts, results = [], []
    for name, given in (("a", rows), ("b", second)):
        program = jax.jit(lambda row, x, name=name: x * row[name])
        lowering = [lambda device, program=program, given=given: lower(program, (given, X), device)]
        made, (text,) = loading.compile_all(lowering, [{}], jax.devices()[:1], Programs(tmp_path))
        texts.append(text)
        results.append(np.asarray(made[0][0](given, X)))
    assert texts[0] == texts[1]
    np.testing.assert_array_equal(results, [X * 2, X * 3])


def test_another_machine_finds_nothing(tmp_path, monkeypatch):
    kept = Programs(tmp_path)
    kept.write("a", b"content")
    assert kept.read("a") == b"content"
    monkeypatch.setattr(programs, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(programs.platform, "node", lambda: "elsewhere")
    assert programs.machine()[1:] == ("elsewhere",)
    assert kept.read("a") is None


def test_the_machine_is_its_instructions():
    (kind, *listed), found = programs.machine(), programs.CPUINFO.read_text()
    assert kind and listed and all(line in found for line in listed)


def test_a_kernel_that_names_more_changes_no_instructions(tmp_path, monkeypatch):
    listed = "model name\t: Abacus 3\nflags\t\t: fpu sse2 avx2 fma rdrand\n"
    told = []
    for number, text in enumerate(
        [
            listed,
            listed.replace("rdrand", "rdrand flush_l1d arch_capabilities"),
            listed.replace("avx2", "avx2 avx512f"),
            listed.replace("Abacus 3", "Abacus 4"),
        ]
    ):
        file = tmp_path / str(number)
        file.write_text(text)
        monkeypatch.setattr(programs, "CPUINFO", file)
        told.append(programs.instructions())
    assert told[0] == told[1] and len({*told}) == 3
    assert all(one.startswith("Abacus") for one in told)
    monkeypatch.setattr(programs, "CPUINFO", tmp_path / "none")  # and a name that networks give
    before = programs.instructions()
    monkeypatch.setattr(programs.platform, "node", lambda: "elsewhere")
    assert programs.instructions() == before


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_said_removed_and_made_again(kept, damage):
    (directory, file, first), devices = kept, jax.devices()[:1]
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + b"?" + content[middle + 1 :] if damage is None else damage)
    with pytest.warns(UserWarning, match=rf"not read from {file}: it is damaged, and removed"):
        again, _ = once(directory, devices)
    assert again == first
    assert file.is_file()  # kept again
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert once(directory, devices)[0] == first


def test_bytes_that_are_no_program_are_compiled_over(kept, monkeypatch):
    """A digest that fits, of what no reader understands."""
    directory, _, first = kept
    monkeypatch.setattr(Programs, "read", lambda *_: b"no pickle")
    assert once(directory, jax.devices()[:1])[0] == first


def test_where_nothing_can_be_written_that_is_a_warning(no_jax_cache, tmp_path):
    gone = tmp_path / "gone"
    with pytest.warns(UserWarning, match=f"was not kept in {gone}: No such file"):
        once(gone, jax.devices()[:1])


def test_a_file_that_cannot_be_touched_is_read_all_the_same(tmp_path, monkeypatch, recwarn):
    """Another user's, or on a disk that is not written to."""
    kept = Programs(tmp_path)
    kept.write("a", b"content")

    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refused)
    assert kept.read("a") == b"content"
    assert not recwarn.list


def test_a_full_disk_leaves_no_half_of_a_program(tmp_path):
    resource = pytest.importorskip("resource")
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.warns(UserWarning, match="was not kept in .*: File too large"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, was[1]))
        try:
            Programs(tmp_path).write("a", bytes(100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, was)
    assert [*tmp_path.iterdir()] == []


def test_the_files_unused_for_longest_go(tmp_path):
    for age, name in enumerate("abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(bytes(100))
        os.utime(tmp_path / name / "x", (1000 - age, 1000 - age))
    programs.bound(tmp_path, 250)
    assert [file.parent.name for file in sorted(tmp_path.rglob("x"))] == ["a", "b"]
    programs.bound(tmp_path, 250)
    assert len([*tmp_path.rglob("x")]) == 2


class TestCommand:
    def test_keeps_them_in_the_users_cache_and_then_no_more(self, no_directory):
        with command.programs_kept(Options()):
            directory = kept_programs().directory
            assert directory.is_relative_to(no_directory / "jaxopt-course" / "programs")
            assert f"jax-{jax.__version__}-jaxlib-" in directory.name
            assert directory.stat().st_mode & 0o777 == 0o700
        assert kept_programs() is None
        assert jax.config.values["jax_compilation_cache_dir"] is None

    def test_a_directory_of_the_users_own_choice_stays(self):
        own = jax.config.values["jax_compilation_cache_dir"]  # conftest's
        with command.programs_kept(Options()):
            assert kept_programs().directory == pathlib.Path(own)

    def test_not_with_no_cache(self, no_directory):
        with command.programs_kept(Options(no_cache=True)):
            assert kept_programs() is None
        assert not no_directory.exists()
        assert jax.config.values["jax_enable_compilation_cache"]

    def test_nor_where_a_command_compiles_nothing(self, no_directory):
        with command.programs_kept(object()):
            assert not no_directory.exists()

    def test_a_file_in_the_place_of_the_directory(self, no_directory):
        no_directory.write_text("")
        with (
            pytest.warns(UserWarning, match="are not kept for the next command: .*cache"),
            command.programs_kept(Options()),
        ):
            assert kept_programs() is None

    def test_a_directory_in_which_others_may_write(self, no_directory):
        with command.programs_kept(Options()):
            kept_programs().directory.chmod(0o777)
        with (
            pytest.warns(UserWarning, match="others may write to"),
            command.programs_kept(Options()),
        ):
            assert kept_programs() is None

    def test_what_jax_cannot_read_is_removed(self, no_directory):
        with (
            pytest.warns(UserWarning, match="Error reading persistent"),  # said nevertheless
            command.programs_kept(Options()),
        ):
            directory = kept_programs().directory
            for name in ("jit_take-1-cache", "jit_taken-2-cache"):
                (directory / name).write_text("")
            (directory / "jit_take-0-cache").mkdir()  # no file, and no reason to end a command
            said = "Error reading persistent compilation cache entry for 'jit_take': torn"
            warnings.warn(said, stacklevel=1)
            left = {file.name for file in directory.iterdir()}
            assert left == {"jit_take-0-cache", "jit_taken-2-cache"}


@pytest.mark.parametrize(
    "platform, variable, place",
    [("darwin", "", "Library/Caches"), ("win32", "LOCALAPPDATA", ""), ("linux", "", ".cache")],
)
def test_the_users_cache(monkeypatch, tmp_path, platform, variable, place):
    monkeypatch.setattr(command.sys, "platform", platform)
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert command.user_cache() == tmp_path / place
