"""Journals of strangers: whatever a file of Optuna's holds, an answer of ours, and nothing lost.

``-m fuzz`` tries 2,000 inputs, ``-m soak`` 100,000.
"""

import json
import os
import random
from contextlib import nullcontext

import jax
import optuna
import pytest
from odd_input import ODD, little_memory, odd_bytes, paths, put, refused

import jaxopt_course as joc


@pytest.fixture(scope="module")
def study():
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01, 0.02], seed=[0])
    one = jax.devices()[:1]
    return joc.sweep("line", trials, epochs=1, batch_size=5, progress=False, devices=one)


@pytest.fixture(scope="module")
def journal(study, tmp_path_factory):
    """A journal with two studies, of which one was asked by a sampler."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = tmp_path_factory.mktemp("journal") / "optuna.log"
    study.to_optuna(file, "there")
    backend = optuna.storages.journal.JournalFileBackend(str(file))
    storage = optuna.storages.JournalStorage(backend)
    other = optuna.create_study(study_name="other", storage=storage, direction="maximize")
    other.set_user_attr("note", {"a": [1]})
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    other.ask()
    return file.read_bytes()


def odd_journal(moments, content):
    """Entries with something else in them, left out, twice, in another order, cut short."""
    found = [json.loads(line) for line in content.splitlines()]
    for _ in range(moments.randint(1, 3)):
        place = moments.randrange(len(found))
        match moments.randrange(6):
            case 0 | 1 | 2:
                where = moments.choice(list(paths(found[place])))
                value = moments.choice([..., *ODD[:-1], *range(12)])  # the last is no JSON
                found[place] = put(found[place], where, value if where or value is not ... else 0)
            case 3:
                del found[place]
            case 4:
                found.insert(moments.randrange(len(found)), found[place])
            case 5:
                moments.shuffle(found)
        found = found or [{}]
    lines = [json.dumps(entry).encode() for entry in found]
    if moments.random() < 0.1:
        lines.insert(
            0, moments.choice([b"", b"[" * 5_000, b"9" * 5_000, b'{"op_code": 0', b"\xff"])
        )
    return b"\n".join(lines) + moments.choice([*[b"\n"] * 9, b"", b"\n{", b"\n\n"])


def case(moments, study, content, file):
    spoil = odd_journal if moments.random() < 0.8 else odd_bytes
    spoilt = spoil(moments, content)
    file.write_bytes(spoilt)

    def read():
        error = refused(lambda: export(study, file), names=[str(file)])
        after = file.read_bytes()
        assert after.startswith(spoilt) if error is None else after == spoilt
        assert os.listdir(file.parent) == [file.name], "a lock stays"
        return error

    return spoilt, read


def export(study, file):
    assert len(study.to_optuna(file, "new").trials) == len(study.trials)


def fuzz(study, content, folder, inputs, seed):
    moments = random.Random(seed)
    for turn in range(inputs):
        spoilt, read = case(moments, study, content, folder / "optuna.log")
        try:
            with nullcontext() if turn % 20 else little_memory(len(spoilt)):
                read()
        except BaseException as error:
            error.add_note(f"turn {turn}: {spoilt[:3000]!r}")
            raise


def test_odd_journals_get_an_answer(study, journal, tmp_path):
    fuzz(study, journal, tmp_path, 60, seed=0)


@pytest.mark.fuzz
def test_many_odd_journals_get_an_answer(study, journal, tmp_path):
    fuzz(study, journal, tmp_path, 2_000, seed=1)


@pytest.mark.soak
def test_very_many_odd_journals_get_an_answer(study, journal, tmp_path):
    fuzz(study, journal, tmp_path, 100_000, seed=2)


@pytest.mark.parametrize("end", [b'{"op_code": 4', b"\n", b'{"op_code": 4\n'])
def test_a_journal_cut_short_stays_as_readable_as_it_was(study, journal, tmp_path, end):
    """Optuna passes over a torn last line, until something is added to it."""
    file = tmp_path / "optuna.log"
    file.write_bytes(journal + end)
    with pytest.raises(
        ValueError, match=r"optuna.log is damaged at its end .*remove its last line"
    ):
        study.to_optuna(file, "new")
    assert file.read_bytes() == journal + end
    file.write_bytes(journal)
    assert len(study.to_optuna(file, "new").trials) == 2


@pytest.mark.parametrize("mine", [b"mine", b"mine\n", b"my first line\nmy last"])
def test_a_text_of_the_user_is_no_damaged_journal(study, tmp_path, mine):
    """It was to lose its last line."""
    (tmp_path / "optuna.log").write_bytes(mine)
    with pytest.raises(ValueError, match=r"is no journal of Optuna's"):
        study.to_optuna(tmp_path / "optuna.log")
    assert (tmp_path / "optuna.log").read_bytes() == mine


def test_a_pipe_is_no_journal(study, tmp_path):
    os.mkfifo(tmp_path / "optuna.log")
    with pytest.raises(ValueError, match="is a pipe or a device"):
        study.to_optuna(tmp_path / "optuna.log")
