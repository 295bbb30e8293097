"""Loaders of openml.org: small files in its format, served in the place of the network."""

import copy
import gzip
import hashlib
import http.client
import io
import json
import random
import shutil
import urllib.error
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets._openml as sklearn_openml
from long_form import only
from odd_input import ODD, little_memory, odd_bytes, paths, put, refused

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.problems import downloads
from jaxopt_course.problems.downloads import openml_task
from jaxopt_course.problems.openml import BANK_COLUMNS, SOURCES, images, pixels, table


class Response(io.BytesIO):
    def info(self):
        return {}


class Site:
    """What openml.org would answer for data sets that a test has made."""

    def __init__(self):
        self.answers, self.asked = {}, []

    def serve(self, data_id, columns, rows, target=-1, missing="0", form="ARFF"):
        """``columns``: name -> type as ARFF has it; the last one is the target, or ``target``."""
        target = None if target is None else list(columns)[target]
        arff = "\n".join(
            [
                "@RELATION made",
                *(f"@ATTRIBUTE {name} {kind}" for name, kind in columns.items()),
                "@DATA",
                *(",".join(map(str, row)) for row in rows),
                "",
            ]
        ).encode()
        url = f"https://www.openml.org/data/v1/download/{data_id}/made.arff"
        description = {
            **{"id": str(data_id), "name": "made", "version": "1", "format": form},
            **{"status": "active", "url": url, "description": "made by a test"},
            "md5_checksum": hashlib.md5(arff).hexdigest(),
        }
        features = [
            {
                **{"index": str(i), "name": name, "is_ignore": "false"},
                **{"is_row_identifier": "false", "number_of_missing_values": missing},
                "data_type": "nominal" if kind[0] == "{" else "numeric",
                "is_target": str(name == target).lower(),
                **({"nominal_value": kind[1:-1].split(",")} if kind[0] == "{" else {}),
            }
            for i, (name, kind) in enumerate(columns.items())
        ]
        quality = [{"name": "NumberOfInstances", "value": str(len(rows))}]
        api = "https://www.openml.org/api/v1/json/data"
        self.answers |= {
            f"{api}/{data_id}": {"data_set_description": description},
            f"{api}/features/{data_id}": {"data_features": {"feature": features}},
            f"{api}/qualities/{data_id}": {"data_qualities": {"quality": quality}},
            url: arff,
        }

    def open(self, request):
        self.asked.append(request.full_url)
        if request.full_url not in self.answers:
            raise urllib.error.URLError("Name or service not known")
        answer = self.answers[request.full_url]
        if isinstance(answer, Exception):
            raise answer
        return Response(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.fixture
def site(monkeypatch, tmp_path):
    site = Site()
    site.use = lambda opener: monkeypatch.setattr(sklearn_openml, "urlopen", opener)
    site.use(site.open)
    monkeypatch.setattr(sklearn_openml.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setitem(SOURCES, "mnist", SOURCES["mnist"]._replace(md5=None))  # the test's own
    return site


def pictures(name, n=20):
    """Random bytes in the format of the set: a column a pixel, the class as text at the end."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, int(np.prod(SOURCES[name].shape))))
    labels = np.arange(n) % 10
    columns = {f"p{i}": "INTEGER" for i in range(pixels.shape[1])}
    columns["class"] = "{0,1,2,3,4,5,6,7,8,9}"
    return columns, np.column_stack([pixels, labels]).tolist(), pixels, labels


@pytest.mark.parametrize(
    ("name", "shape"),
    only([("cifar10", (32, 32, 3))], [("mnist", (28, 28, 1)), ("cifar10", (32, 32, 3))]),
)
def test_images_have_their_channels_last(site, name, shape):
    columns, rows, pixels, labels = pictures(name)
    site.serve(SOURCES[name].data_id, columns, rows)
    inputs, targets = images(name)
    assert (inputs.shape, inputs.dtype, targets.dtype) == ((20, *shape), np.float32, np.int32)
    np.testing.assert_array_equal(targets, labels)
    width = shape[1]
    for y, x, channel in [(0, 0, 0), (3, 5, 0), (7, 2, shape[2] - 1)]:
        column = (channel * shape[0] + y) * width + x  # a channel after the other, row by row
        np.testing.assert_allclose(inputs[:, y, x, channel] * 255, pixels[:, column], rtol=1e-6)
    asked = len(site.asked)
    images(name)
    assert len(site.asked) == asked, "the second time comes from the cache"


def test_images_are_bytes_and_a_part_of_the_unit_interval(site):
    columns, rows, values, _ = pictures("mnist")
    site.serve(554, columns, rows)
    stored, _ = pixels("mnist")
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored.reshape(20, -1), values)
    np.testing.assert_array_equal(images("mnist")[0], stored / np.float32(255))


def test_a_task_of_images_from_the_file_to_the_parts(site, monkeypatch):
    """The first 14 of 20 are training, of which the last 5 are held out; the test part is 6."""
    columns, rows, values, labels = pictures("mnist")
    site.serve(554, columns, rows)
    monkeypatch.setattr(downloads, "HELD_OUT", 5)
    test = tuple(np.bincount(labels[14:], minlength=10).tolist())
    monkeypatch.setitem(SOURCES, "mnist", SOURCES["mnist"]._replace(train=14, test=test))
    task = joc.load_task("mnist_dense")
    assert task.examples == {"train": 9, "valid": 5, "test": 6}
    for part, rows in (("train", slice(9)), ("valid", slice(9, 14)), ("test", slice(14, 20))):
        stored = getattr(task, part)
        np.testing.assert_array_equal(stored["inputs"].reshape(-1, 784), values[rows])
        np.testing.assert_array_equal(stored["targets"], labels[rows])


def bank_rows(n=60):
    kinds = {f"V{i}": "NUMERIC" for i in range(1, 17)}
    kinds |= {"V2": "{admin.,student}", "V16": "{failure,unknown}", "Class": "{1,2}"}
    rows = []
    for i in range(n):
        row = dict.fromkeys(kinds, i % 7) | {"Class": 1 + i % 3 // 2}
        row |= {"V2": ("admin.", "'student'")[i % 2], "V16": ("failure", "unknown")[i // 2 % 2]}
        rows.append(list(row.values()))
    return kinds, rows


def test_bank_marketing_gets_its_names(site):
    site.serve(1461, *bank_rows())
    frame, target = table("bank_marketing")
    assert list(frame.columns) == [*BANK_COLUMNS, target] and target == "Class"
    assert set(frame["job"]) == {"admin.", "student"}
    task = openml_task("bank_marketing")
    assert task.train["inputs"].shape == (36, 14 + 2 + 2)
    assert task.train["targets"].mean() == pytest.approx(1 / 3)
    assert list(task.metrics) == ["accuracy", "f1", "auc", "loss"]


def test_online_shoppers_and_credit_cards(site):
    shoppers = {"Month": "{Feb,May}", "Weekend": "{FALSE,TRUE}", "PageValues": "REAL"}
    rows = [(("Feb", "May")[i % 2], str(i % 3 == 0).upper(), i / 10, str(i % 5 == 0).upper())
            for i in range(50)]  # fmt: skip
    site.serve(46947, shoppers | {"Revenue": "{FALSE,TRUE}"}, rows)
    task = openml_task("online_shoppers")
    assert task.train["inputs"].shape == (30, 2 + 1 + 1)
    assert task.train["targets"].sum() == 6
    cards = {"V1": "REAL", "Amount": "REAL", "Class": "{0,1}"}
    site.serve(1597, cards, [(i / 7, i, int(i % 10 == 0)) for i in range(50)])
    task = openml_task("credit_card_fraud")
    assert task.train["inputs"].shape == (30, 2)
    assert task.test["targets"].sum() == 1


def test_offline_the_message_says_what_to_do(site, tmp_path):
    with pytest.raises(ConnectionError) as error:
        openml_task("cifar10_cnn")
    said = str(error.value)
    for part in (
        "'cifar10' is not in",
        str(tmp_path),
        "openml.org/d/40927",
        "Name or service",
        "need no network",
    ):
        assert part in said


MADE = "https://www.openml.org/data/v1/download/1461/made.arff"


def test_a_file_that_was_damaged_is_refused(site):
    site.serve(1461, *bank_rows())
    site.answers[MADE] = b"@RELATION other"
    with pytest.raises(ConnectionError, match=r"cannot be used, also when .* anew: .*md5 checksum"):
        table("bank_marketing")


def cached(folder):
    (file,) = folder.rglob("made.arff.gz")
    return file


@pytest.mark.parametrize("damage", ["cut short", "not gzip", "another file", "empty"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(site, tmp_path, damage):
    site.serve(1461, *bank_rows())
    first, _ = table("bank_marketing")
    file = cached(tmp_path)
    whole = file.read_bytes()
    harm = {"cut short": whole[:-40], "not gzip": b"<html>", "empty": b""}
    file.write_bytes(harm.get(damage, gzip.compress(b"@RELATION other")))
    online = site.answers.pop(MADE)
    with pytest.raises(ConnectionError, match=r"could not be downloaded .*d/1461: .*not known"):
        table("bank_marketing")
    site.answers[MADE] = online
    again, _ = table("bank_marketing")
    pd.testing.assert_frame_equal(again, first)


def test_what_the_system_refuses_is_said_without_pythons_words(site):
    site.use(
        lambda r: (_ for _ in ()).throw(urllib.error.URLError(OSError(36, "File name too long")))
    )
    with pytest.raises(ConnectionError, match=r"openml.org/d/1461: .*File name too long") as error:
        table("bank_marketing")
    assert "Errno" not in str(error.value)


def test_a_download_that_breaks_off_leaves_nothing_behind(site, tmp_path):
    class Broken(Response):
        def read(self, *given):
            raise http.client.IncompleteRead(b"half")

    site.serve(1461, *bank_rows())
    opened, broken = site.open, [True]
    site.use(lambda r: Broken() if broken and r.full_url == MADE else opened(r))
    with pytest.raises(ConnectionError, match=r"could not be downloaded .*IncompleteRead"):
        table("bank_marketing")
    assert not list(tmp_path.rglob("made.arff*"))
    broken.clear()
    assert len(table("bank_marketing")[0]) == 60


def test_a_set_that_was_withdrawn(site):
    url = "https://www.openml.org/api/v1/json/data/1461"
    site.answers[url] = urllib.error.HTTPError(url, 412, "Precondition failed", {}, None)
    with pytest.raises(ConnectionError, match=r"cannot be used.*data_id 1461 not found"):
        table("bank_marketing")


def test_targets_and_forms_that_cannot_be_learned_from(site):
    site.serve(1461, *bank_rows(), target=None)
    with pytest.raises(ConnectionError, match=r"'bank_marketing' .*has 0 targets, not one"):
        table("bank_marketing")
    site.serve(1597, {"V1": "REAL", "Class": "{0,1}"}, [(1, 0)], missing="3")
    with pytest.raises(ConnectionError, match=r"Target column 'Class' has 3 missing values"):
        table("credit_card_fraud")
    site.serve(46947, {"V1": "REAL", "Class": "{0,1}"}, [("{0 1", "1 1}")], form="Sparse_ARFF")
    with pytest.raises(ConnectionError, match=r"cannot be used.*Sparse ARFF"):
        table("online_shoppers")


def test_other_columns_than_the_bank_has(site):
    site.serve(1461, {"V1": "REAL", "Class": "{1,2}"}, [(1, 1), (2, 2)])
    with pytest.raises(ConnectionError, match=r"has 1 columns beside its target, not 16"):
        table("bank_marketing")


@pytest.mark.parametrize("odd", ["?", "256", "-1", "0.5"])
def test_pixels_that_are_none(site, odd):
    columns, rows, *_ = pictures("mnist", 3)
    rows[1][5] = odd
    site.serve(554, columns, rows)
    with pytest.raises(ConnectionError, match="no whole numbers from 0 to 255"):
        pixels("mnist")


def test_a_long_column_has_one_type(site):
    """Read piece by piece, numbers at the top and words further down would be of two types."""
    zeros = [0] * 64  # pandas' pieces are the shorter, the wider the table
    columns = {f"z{i}": "INTEGER" for i in range(64)}
    columns |= {"Kind": "{1,other}", "Revenue": "{FALSE,TRUE}"}
    rows = [(*zeros, 1 if i < 17_000 else "other", "TRUE" if i % 2 else "FALSE")
            for i in range(18_000)]  # fmt: skip
    site.serve(46947, columns, rows)
    frame, _ = table("online_shoppers")
    assert frame["Kind"].value_counts().to_dict() == {"1": 17_000, "other": 1_000}


def test_images_of_another_size(site):
    columns, rows, *_ = pictures("mnist", 3)
    site.serve(554, dict(list(columns.items())[1:]), [row[1:] for row in rows])
    with pytest.raises(ConnectionError, match="783 pixels an image, not 784"):
        pixels("mnist")


def test_categories_with_gaps_stay_what_they_are(site):
    """TRUE and FALSE beside a gap are no strings; numbers beside words must not become gaps."""
    columns = {"Weekend": "{FALSE,TRUE}", "Kind": "{1,2,other}", "Revenue": "{FALSE,TRUE}"}
    rows = [(("TRUE", "FALSE", "?")[i % 3], ("1", "2", "'other'", "?")[i % 4], "TRUE" if i % 2 else
             "FALSE") for i in range(60)]  # fmt: skip
    site.serve(46947, columns, rows)
    frame, _ = table("online_shoppers")
    assert frame["Weekend"].isna().sum() == 20
    assert frame["Weekend"].dropna().astype(str).str.upper().value_counts().to_dict() == {
        "TRUE": 20,
        "FALSE": 20,
    }
    kinds = frame["Kind"].value_counts(dropna=False).to_dict()
    assert {str(kind): count for kind, count in kinds.items()} == dict.fromkeys(
        ("1", "2", "other", "nan"), 15
    )
    task = openml_task("online_shoppers")
    assert task.train["inputs"].shape == (36, 2 + 4)


def test_what_is_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"unknown data set.*'mnst'; did you mean 'mnist'"):
        images("mnst")
    with pytest.raises(ValueError, match="'mnist' is a set of images, not a table"):
        table("mnist")


def test_a_table_is_no_set_of_images():
    with pytest.raises(ValueError, match="'bank_marketing' is a table"):
        images("bank_marketing")


def test_the_command_says_it_in_one_line(site, monkeypatch, capsys):
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    with pytest.raises(SystemExit):
        cli.main(["compare", "--task", "mnist_cnn"])
    error = capsys.readouterr().err
    assert error.startswith("jaxopt-course: 'mnist' is not in ") and error.count("\n") == 1


# --- strangers: poisoned caches, odd files ---


def described(folder, data_id=1461):
    """The description in the cache, and a function that writes another one."""
    (file,) = folder.rglob(f"data/{data_id}.gz")
    content = json.loads(gzip.decompress(file.read_bytes()))

    def write(**changes):
        content["data_set_description"] |= changes
        file.write_bytes(gzip.compress(json.dumps(content).encode()))

    return file, write


def test_a_file_and_its_description_changed_together_are_found_out_where_the_md5_is_known(
    site, tmp_path, monkeypatch
):
    columns, rows, *_ = pictures("mnist", 20)
    site.serve(554, columns, rows)
    pixels("mnist")
    arff = next(content for content in site.answers.values() if isinstance(content, bytes))
    known = SOURCES["mnist"]._replace(md5=hashlib.md5(arff).hexdigest())
    monkeypatch.setitem(SOURCES, "mnist", known)
    pixels("mnist")
    poisoned = arff.replace(b"@DATA\n", b"@DATA\n" + arff.split(b"@DATA\n")[1], 1)
    cached(tmp_path).write_bytes(gzip.compress(poisoned))
    file, write = described(tmp_path, 554)
    write(md5_checksum=hashlib.md5(poisoned).hexdigest())
    with pytest.raises(ConnectionError, match=r"554.gz is another file than was published \(MD5"):
        pixels("mnist")
    file.unlink()  # then openml.org says what it says
    pixels("mnist")
    site.answers["https://www.openml.org/api/v1/json/data/554"]["data_set_description"] |= {
        "md5_checksum": hashlib.md5(b"").hexdigest()
    }
    file.unlink()
    with pytest.raises(ConnectionError, match="'mnist'"):
        pixels("mnist")


@pytest.mark.parametrize(
    "url", ["https://www.openml.org/../../../../mine", "file:///etc/hostname", "https://x.org/a"]
)
def test_a_description_that_leads_out_of_the_cache_is_not_followed(site, tmp_path, url):
    """scikit-learn removes the file that it names, where that is not what it should be."""
    home = tmp_path / "a" / "home"
    site.serve(1461, *bank_rows())
    table("bank_marketing", home)
    (tmp_path / "mine.gz").write_text("mine")
    described(home)[1](url=url)
    with pytest.raises(ConnectionError, match=r"1461.gz leads elsewhere"):
        table("bank_marketing", home)
    assert (tmp_path / "mine.gz").read_text() == "mine"


ARFF = [
    "@ATTRIBUTE day DATE \"yyyy-MM-dd\"", "@ATTRIBUTE word STRING", "@ATTRIBUTE '' REAL",
    "@ATTRIBUTE 'a b' {'x y',\"z\",'it\\'s'}", "@ATTRIBUTE a {", "@ATTRIBUTE a {}", "@ATTRIBUTE",
    "@ATTRIBUTE V1 REAL", "@ATTRIBUTE \x1b[2J REAL", "@RELATION", "@DATA", "@data", "% note", "",
    "{0 1, 1 'TRUE'}", "{", "{-1 5}", "{99999999999 1}", "1,2,3,TRUE,5", "?", "?,?,?", "'", "\"",
    "'1,TRUE", "nan,inf,TRUE", "9" * 400, "1e400,1,TRUE", "\x00", "\u202e", "\ud800", "1;2;TRUE",
]  # fmt: skip


def odd_answer(moments, site, data_id):
    """One of the four answers with something else in it; the MD5 fits."""
    answers = copy.deepcopy(site.answers)
    arff = next(url for url in answers if url.endswith(".arff"))
    if moments.random() < 0.6:
        lines = answers[arff].decode().split("\n")
        for _ in range(moments.randint(1, 3)):
            line = moments.randrange(len(lines))
            match moments.randrange(4):
                case 0:
                    lines[line] = moments.choice(ARFF)
                case 1:
                    lines.insert(line, moments.choice(ARFF))
                case 2:
                    lines[line] = ",".join(put(lines[line].split(","), (0,), moments.choice(ARFF)))
                case 3:
                    del lines[line:]
                    lines = lines or [""]
        answers[arff] = "\n".join(lines).encode(errors="surrogatepass")
    if moments.random() < 0.2:
        answers[arff] = odd_bytes(moments, answers[arff])
    about = f"https://www.openml.org/api/v1/json/data/{data_id}"
    answers[about]["data_set_description"]["md5_checksum"] = hashlib.md5(answers[arff]).hexdigest()
    if moments.random() < 0.5:
        url = moments.choice([url for url in answers if url != arff])
        place = moments.choice(list(paths(answers[url])))
        answers[url] = put(answers[url], place, moments.choice(ODD[:-1]))
    return answers


def fuzz(site, folder, inputs, seed):
    moments = random.Random(seed)
    kinds = {"Month": "{Feb,May}", "Weekend": "{FALSE,TRUE}", "PageValues": "REAL"}
    rows = [(("Feb", "'May'", "?")[i % 3], "TRUE", i / 10, str(i % 5 == 0).upper())
            for i in range(30)]  # fmt: skip
    site.serve(46947, kinds | {"Revenue": "{FALSE,TRUE}"}, rows)
    whole = site.answers
    for turn in range(inputs):
        site.answers = whole
        site.answers = odd_answer(moments, site, 46947)
        home = folder / "home"
        if moments.random() < 0.7:  # what is in the cache counts too
            shutil.rmtree(home, ignore_errors=True)
        read = lambda home=home: table("online_shoppers", home)
        size = sum(len(str(answer)) for answer in site.answers.values())
        try:
            with nullcontext() if turn % 20 else little_memory(size):
                refused(read, names=["online_shoppers", "46947"])
        except BaseException as error:
            error.add_note(f"turn {turn}: {str(site.answers)[:3000]}")
            raise
        assert {file.name for file in folder.iterdir()} <= {"home"}


def test_odd_answers_of_openml_get_an_answer(site, tmp_path):
    fuzz(site, tmp_path, 60, seed=0)


@pytest.mark.fuzz
def test_many_odd_answers_of_openml_get_an_answer(site, tmp_path):
    fuzz(site, tmp_path, 2_000, seed=1)


@pytest.mark.soak
def test_very_many_odd_answers_of_openml_get_an_answer(site, tmp_path):
    fuzz(site, tmp_path, 100_000, seed=2)
