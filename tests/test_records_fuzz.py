"""Files of strangers: whatever they hold, an answer of ours, and nothing written.

``-m fuzz`` tries 2,000 inputs, ``-m soak`` 100,000.
"""

import json
import random
import shutil
from contextlib import nullcontext

import jax
import pytest
from long_form import only
from odd_input import ODD, little_memory, odd_bytes, paths, put, refused, watched

import jaxopt_course as joc
from jaxopt_course.records import checkpoints, claims, lock, ownership, store, weights
from jaxopt_course.report import findings
from jaxopt_course.studies.made_with import scheduler_of
from jaxopt_course.studies.snapshots import unpack
from jaxopt_course.sweeps import engine

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.01, 0.02], seed=range(2))
ANSWERS = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with its confirmation, and a sweep cut short beside it, as bytes by name."""
    directory = tmp_path_factory.mktemp("fuzz") / "study"
    settings = {"epochs": 4, "batch_size": 5, "progress": False, "devices": jax.devices()[:1]}
    made = joc.sweep("line", TRIALS, directory=directory, lanes=4, keep=1, **settings)
    made.confirm(1, progress=False)
    cut = tmp_path_factory.mktemp("fuzz") / "cut"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SAVE_SECONDS", 0.0)
        patch.setattr(engine, "SAVE_SHARE", 1e9)
        patch.setattr(engine, "SEGMENT_SECONDS", 1e-9)
        patch.setattr(checkpoints, "forget", lambda _: None)
        patch.setattr(store, "write", lambda *_, **__: (_ for _ in ()).throw(OSError("cut")))
        from helpers import reuse

        reuse(patch, made)
        with pytest.raises(OSError):
            joc.sweep("line", TRIALS, directory=cut, lanes=4, keep=1, **settings)
    shutil.copytree(cut / "checkpoint", directory / "checkpoint")
    shutil.copy(next((directory / "weights").iterdir()), directory / "of.safetensors")
    return directory


def readers(directory, whole):
    """Who reads each file; ``whole`` is its manifest."""
    first = directory / "checkpoint" / "0000"
    study = lambda: [
        weights.read(directory, entry) for entry in weights.entries(store.read(directory).manifest)
    ]
    asked = lambda: scheduler_of(checkpoints.asked(directory).settings["scheduler"])
    state = lambda: unpack(checkpoints.newest(first) or {}, 8)
    return {
        "manifest.json": study,
        "trials.csv": study,
        "curves.nc": study,
        "confirm/manifest.json": lambda: store.read_confirmation(directory, whole),
        "events.jsonl": lambda: store.read_events(directory),
        "checkpoint/question.json": asked,
        "checkpoint/question.csv": asked,
        "checkpoint/0000/0.state": state,
        "checkpoint/0000/1.state": state,
        "of.safetensors": lambda: weights.nested(
            weights.load(directory / "of.safetensors"), "params"
        ),
        ".study.json": lambda: ownership.read_list(directory),
        ".lock": lambda: lock.locked(directory).__enter__(),
    }


def odd_json(moments, content):
    """The bytes of a JSON with one or two odd places."""
    value = json.loads(content)
    for _ in range(moments.randint(1, 2)):
        odd = moments.choice([..., *ODD[:-1]])  # the last is no JSON
        where = moments.choice(list(paths(value)))
        value = put(value, where, odd if where or odd is not ... else 0)
    return json.dumps(value).encode()


FILES = {  # the share of each in the inputs
    "manifest.json": 0.3,
    "confirm/manifest.json": 0.08,
    "checkpoint/question.json": 0.2,
    "trials.csv": 0.1,
    "curves.nc": 0.06,
    "events.jsonl": 0.1,
    "checkpoint/question.csv": 0.05,
    "checkpoint/0000/0.state": 0.04,
    "checkpoint/0000/1.state": 0.04,
    "of.safetensors": 0.1,
    ".study.json": 0.02,
    ".lock": 0.01,
}


# a lock is taken by writing who has it; damaged snapshots make room for whole ones
READ_ONLY = {name for name in FILES if name != ".lock" and not name.endswith(".state")}


def listing(directory):
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def fuzz(study, tmp_path, name, inputs, seed):
    directory = tmp_path / "fuzzed"
    shutil.copytree(study, directory)
    whole = store.read(study).manifest
    reader = readers(directory, whole)[name]
    file, moments = directory / name, random.Random(seed)
    content = file.read_bytes()
    states = {one: one.read_bytes() for one in (directory / "checkpoint" / "0000").glob("*.state")}
    for turn in range(max(3, round(FILES[name] * inputs))):
        spoil = odd_json if name.endswith(".json") and moments.random() < 0.7 else odd_bytes
        spoilt = spoil(moments, content)
        file.write_bytes(spoilt)
        before = listing(tmp_path)
        size = sum(map(len, before.values()))
        try:
            with (
                watched() if name in READ_ONLY else nullcontext(),
                nullcontext() if turn % 20 else little_memory(size),
            ):
                refused(reader, kinds=ANSWERS)
                if turn % 10 == 0:  # these read all that there is
                    refused(lambda: findings.read(directory), kinds=ANSWERS)
                    refused(lambda: claims.verified_names(directory), kinds=ANSWERS)
        except BaseException as error:
            error.add_note(f"turn {turn}: {spoilt[:3000]!r}")
            raise
        if name.endswith(".state"):  # damaged ones make room for whole ones
            for state, whole_state in states.items():
                state.write_bytes(whole_state)
        elif name != ".lock":
            assert listing(tmp_path) == before, turn


# a file of each kind; of the manifest, which is read most, most are odd
BRIEF = ["trials.csv", "confirm/manifest.json", "checkpoint/0000/0.state", "of.safetensors"]


@pytest.mark.parametrize("name", only(BRIEF, FILES))
def test_odd_files_get_an_answer(study, tmp_path, name):
    fuzz(study, tmp_path, name, 300, seed=0)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", FILES)
def test_many_odd_files_get_an_answer(study, tmp_path, name):
    fuzz(study, tmp_path, name, 2_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("name", FILES)
def test_very_many_odd_files_get_an_answer(study, tmp_path, name):
    fuzz(study, tmp_path, name, 100_000, seed=2)
