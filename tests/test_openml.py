"""Loaders of openml.org: small files in its format, served in the place of the network."""

import hashlib
import io
import json
import urllib.error

import numpy as np
import pytest
import sklearn.datasets._openml as sklearn_openml

from jaxopt_course import cli
from jaxopt_course.problems.openml import BANK_COLUMNS, SOURCES, images, openml_task, table


class Response(io.BytesIO):
    def info(self):
        return {}


class Site:
    """What openml.org would answer for data sets that a test has made."""

    def __init__(self):
        self.answers, self.asked = {}, []

    def serve(self, data_id, columns, rows):
        """``columns``: name -> type as ARFF has it; the last one is the target."""
        *_, target = columns
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
            **{"id": str(data_id), "name": "made", "version": "1", "format": "ARFF"},
            **{"status": "active", "url": url, "description": "made by a test"},
            "md5_checksum": hashlib.md5(arff).hexdigest(),
        }
        features = [
            {
                **{"index": str(i), "name": name, "is_ignore": "false"},
                **{"is_row_identifier": "false", "number_of_missing_values": "0"},
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
        return Response(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.fixture
def site(monkeypatch, tmp_path):
    site = Site()
    monkeypatch.setattr(sklearn_openml, "urlopen", site.open)
    monkeypatch.setattr(sklearn_openml.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    return site


def pictures(name, n=20):
    """Random bytes in the format of the set: a column a pixel, the class as text at the end."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, int(np.prod(SOURCES[name].shape))))
    labels = np.arange(n) % 10
    columns = {f"p{i}": "INTEGER" for i in range(pixels.shape[1])}
    columns["class"] = "{0,1,2,3,4,5,6,7,8,9}"
    return columns, np.column_stack([pixels, labels]).tolist(), pixels, labels


@pytest.mark.parametrize(("name", "shape"), [("mnist", (28, 28, 1)), ("cifar10", (32, 32, 3))])
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


def test_mnist_is_the_notes_dense_network(site):
    columns, rows, *_ = pictures("mnist", 200)
    site.serve(554, columns, rows)
    task = openml_task("mnist")
    assert task.examples == {"train": 120, "valid": 40, "test": 40}
    assert task.train["inputs"].shape == (120, 784) and task.train["inputs"].max() <= 1
    assert np.bincount(task.train["targets"]).tolist() == [12] * 10


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
        openml_task("cifar10")
    said = str(error.value)
    for part in (str(tmp_path), "openml.org/d/40927", "Name or service", "need no network"):
        assert part in said


def test_a_file_that_was_damaged_is_refused(site):
    site.serve(1461, *bank_rows())
    site.answers["https://www.openml.org/data/v1/download/1461/made.arff"] = b"@RELATION other"
    with pytest.raises(ConnectionError, match="md5 checksum"):
        table("bank_marketing")


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
        cli.main(["compare", "--task", "mnist"])
    error = capsys.readouterr().err
    assert error.startswith("jaxopt-course: 'mnist' is not in ") and error.count("\n") == 1
