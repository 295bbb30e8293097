"""What the notes claim of optimizers is measured, all of it; verdicts are counted, one a claim."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from jaxopt_course.course import notebooks
from jaxopt_course.course.claims import (
    claim,
    decided,
    find,
    interval,
    recorded,
    spanish,
    verdict,
    whole,
)
from jaxopt_course.course.verdicts import cite, code_of, record, row, show_all, show_claims, table

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
LESSONS = sorted(EXPERIMENTS.glob("[01]*.py"))
# The lines of the notes with a list, a table or a sentence of advantages and disadvantages, read
# by hand: (of whom, a word of the claim, as the lesson puts it).
NOTES = {
    "000": {
        "15": [("SGD", "rápido"), ("SGD", "mínimos locales")],
        "23": [("Momentum", "estable y rápido")],
        "38": [("Momentum", "mesetas")],
        "39": [("Momentum", "valle")],
        "40": [("Momentum", "escalas")],
        "41": [("Momentum", "mínimos locales")],
        "42": [("Momentum", "0,9 funciona"), ("Momentum", "inconveniente")],
        "65-68": [("RMSProp", "explote")],
        "92": [("Adam", "rápido")],
        "115": [("AdamW", "regularización")],
        "116": [("AdamW", "ajustar")],
        "120": [("Adagrad", "dispersos")],
        "121": [("Adagrad", "muy pequeña")],
        "125": [("Adadelta", "no necesita")],
        "126": [("Adadelta", "menos estable")],
        "130": [("Adamax", "robusto")],
        "131": [("Adamax", "más lento")],
        "134": [("AdamW", "regularización")],
        "135": [("Adadelta", "simplifica")],
        "136": [("Adagrad", "dispersos")],
        "137": [("Adamax", "grandes")],
    },
    "001": {
        "116": [("SGD", "rápido")],
        "117": [("SGD", "menos cálculo y memoria")],
        "121": [("SGD", "ruidoso")],
        "122": [("SGD", "mal afinado")],
        "220": [("Lote completo", "estables"), ("Lote completo", "mínimo global")],
        "221": [("Lote completo", "preciso")],
        "225": [("Lote completo", "costosa")],
        "226": [("Lote completo", "lenta")],
        "227": [("Lote completo", "no escala")],
        "371": [("Mini-lote", "equilibrio")],
        "372": [("Mini-lote", "eficiente")],
        "373": [("Mini-lote", "mínimos locales"), ("Mini-lote", "generalización")],
        "377": [("Mini-lote", "tamaño")],
        "378": [("Mini-lote", "oscilaciones")],
        "538": [("Momentum", "mínimos locales")],
        "539": [("Momentum", "acelera")],
        "540": [("Momentum", "oscilaciones")],
        "544": [("Momentum", "crucial")],
        "545": [("Momentum", "más cálculo y memoria")],
        "690": [("Adam", "rápido")],
        "691": [("Adam", "estabilidad")],
        "692": [("Adam", "eficiente")],
        "696": [("Adam", "sensible")],
        "697": [("Adam", "subóptimas")],
        "876": [("RMSProp", "cambian")],
        "877": [("RMSProp", "oscila menos"), ("RMSProp", "más rápido")],
        "881": [("RMSProp", "sensible")],
        "882": [("RMSProp", "atrapado")],
    },
    "002": {
        "505": [("Lote completo", "eficiente"), ("Lote completo", "estables")],
        "509": [("Lote completo", "no es el mejor")],
        "510": [("Lote completo", "memoria")],
        "515": [("SGD", "rápido"), ("SGD", "a menudo")],
        "516": [("SGD", "más caro")],
        "520": [("SGD", "suba")],
        "521": [("SGD", "oscila")],
        "525": [("Mini-lote", "equilibrio")],
    },
    "003": {
        "40": [("SGD", "bajo costo"), ("SGD", "escala"), ("SGD", "tasa de aprendizaje")],
        "41": [("Adam", "rápido"), ("Adam", "adapta"), ("Adam", "sensible a β"),
               ("Adam", "weight decay")],
        "42": [("RMSProp", "adaptativo"), ("RMSProp", "oscilar")],
    },
    "004": {
        "42": [("SGD", "actualización")],
        "43": [("SGD", "mínimos locales")],
        "47": [("SGD", "ruidoso")],
        "48": [("SGD", "tasa de aprendizaje")],
        "101": [("Adam", "rápido")],
        "102": [("Adam", "adapta")],
        "106": [("Adam", "sobreajuste")],
        "107": [("Adam", "mayor costo")],
    },
}  # fmt: skip


def measured():
    """(optimizer, place, words) of every claim that the lessons judge, from their source."""
    rows = []
    for file in LESSONS:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
                about, where, words = (ast.literal_eval(argument) for argument in node.args[:3])
                rows += [(about, place, words) for place in where.split(", ")]
    return rows


def test_every_claim_of_the_notes_is_measured():
    rows = measured()
    missing = [
        f"{file}:{line} {about}: {word}"
        for file, lines in NOTES.items()
        for line, claims in lines.items()
        for about, word in claims
        if not any((a, p) == (about, f"{file}:{line}") and word in words for a, p, words in rows)
    ]
    assert not missing
    places = {f"{file}:{line}" for file, lines in NOTES.items() for line in lines}
    assert {place for _, place, _ in rows} == places  # and no place that makes no claim


def test_every_part_shows_its_table():
    for file in EXPERIMENTS.glob("13_[1-6]_*.py"):
        code = [cell.source for cell in notebooks.read(file).cells if cell.cell_type == "code"]
        assert code[-1].endswith("show_claims(claims)")


def measuring():
    """The lessons that measure claims: number of calls by file."""
    calls = {file: file.read_text(encoding="utf-8").count(" claim(") for file in LESSONS}
    return {file: number for file, number in calls.items() if number}


def test_the_register_is_what_todays_lessons_measure():
    """Figures that are quoted were computed by the code that stands there now.

    Where this fails: run the lesson in full, then python -m jaxopt_course.course.verdicts
    """
    assert set(recorded()) == {file.stem for file in measuring()}
    data = json.loads(files("jaxopt_course.course").joinpath("claims.json").read_text("utf-8"))
    for file, calls in measuring().items():
        assert data[file.stem]["code"] == code_of(file), file.stem
        assert len(recorded()[file.stem]) == calls, file.stem
    assert {one.key for claims in recorded().values() for one in claims} == set(whole())


@pytest.mark.soak
@pytest.mark.parametrize("file", measuring(), ids=lambda file: file.stem)
def test_every_quoted_figure_is_what_the_lesson_computes(file, tmp_path):
    """In full, as the register was written: about half a minute a lesson."""
    # as readers run it: the suite's own flags of the compiler change last digits
    kept = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment = {**kept, "MPLBACKEND": "agg", "JAXOPT_COURSE_QUICK": "0"}
    environment["PYTHONPATH"] = str(EXPERIMENTS.parent)
    subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    folder = tmp_path / "runs" / "course" / file.stem
    data = json.loads((folder / "afirmaciones.json").read_text(encoding="utf-8"))
    for found, held in zip(data["claims"], recorded()[file.stem], strict=True):
        assert found["measured"] == held.measured and found["tests"] == held.tests, held.key


def test_a_claim_has_one_verdict_and_lessons_say_no_other():
    """Only tables and quotations judge: prose of other lessons that says it too may differ."""
    keys = list(whole())
    assert len(keys) > 55
    places = [(about, words) for about, _, words in keys]
    assert len(places) == len(set(places))
    for key, parts in whole().items():
        if len(parts) > 1:  # each says where it was measured
            assert all(part.part for part in parts) and len({p.part for p in parts}) == len(parts)
            assert verdict(parts) == "depende" or len({part.verdict for part in parts}) == 1, key
    judging = re.compile(r"\b(no )?se cumplen?\b|\btambién cumple\b")
    for file in LESSONS:
        if not file.name.startswith("13_"):
            prose = re.findall(r"^# .*", file.read_text(encoding="utf-8"), re.M)
            about = " ".join(line for line in prose if judging.search(line))
            assert "apuntes" not in about and "«" not in about, file.name


def test_every_measured_figure_is_on_the_page_of_all(capsys):
    show_all()
    page = capsys.readouterr().out
    for parts in whole().values():
        assert row(parts) in page
        for part in parts:
            assert part.measured in page and f"({part.lesson}.py)" in page
            assert (EXPERIMENTS / f"{part.lesson}.py").exists()


def test_a_claim_is_quoted_with_its_verdict_and_its_lessons(capsys):
    cite("Adagrad", "dispersos")
    text = capsys.readouterr().out
    parts = find("Adagrad", "dispersos")
    assert len(parts) == 2 and f"**{verdict(parts)}**" in text
    assert "(04_adagrad_rmsprop_adadelta.py)" in text and "(13_3_gradientes_raros.py)" in text
    assert "apuntes 000, «Otros optimizadores»" in text
    with pytest.raises(ValueError, match="0 claims about Adagrad say 'rápido'; it is said: "):
        find("Adagrad", "rápido")
    with pytest.raises(ValueError, match="about Momentum say 'a'"):
        find("Momentum", "a")


def test_only_full_runs_are_recorded(tmp_path, monkeypatch):
    lessons, register = tmp_path / "lessons", tmp_path / "claims.json"
    lessons.mkdir()
    (lessons / "03_prueba.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["03_prueba.py"])
    monkeypatch.setenv("JAXOPT_COURSE_QUICK", "1")
    one = [claim("SGD", "003:40", "simple", "2.5", part="aquí", sí=True, quizá=None)]
    show_claims(one)
    with pytest.raises(ValueError, match="03_prueba was run in its quick mode"):
        record(tmp_path / "runs" / "course", lessons, register)
    monkeypatch.setenv("JAXOPT_COURSE_QUICK", "0")
    show_claims(one)
    register.write_text('{"04_que_ya_no_está": {"code": "", "claims": []}}', encoding="utf-8")
    record(tmp_path / "runs" / "course", lessons, register)
    ((name, held),) = json.loads(register.read_text(encoding="utf-8")).items()
    assert name == "03_prueba" and held["claims"][0]["tests"] == {"sí": True, "quizá": None}
    before = held["code"]
    (lessons / "03_prueba.py").write_text("# another comment\nx = 1  # one\n", encoding="utf-8")
    assert code_of(lessons / "03_prueba.py") == before
    (lessons / "03_prueba.py").write_text("x = 2\n", encoding="utf-8")
    assert code_of(lessons / "03_prueba.py") != before


def test_words_are_no_code_and_strings_are(tmp_path):
    def of(text):
        (tmp_path / "one.py").write_text(text, encoding="utf-8")
        return code_of(tmp_path / "one.py")

    plain = of('def f(x):\n    return x\n\n\ny = "# no"\n')
    assert (
        of('def f(x):\n    """Una\n    y otra."""\n    return x  # qué\n\n\ny = "# no"\n') == plain
    )
    assert of('def f(x):\n    return x\n\n\ny = "# sí"\n') != plain
    assert of('def f(x):\n    x = """Una."""\n    return x\n\n\ny = "# no"\n') != plain


@pytest.mark.parametrize(
    ("tests", "wanted", "named"),
    [
        ({"a": True, "b": np.True_}, "se cumple", ""),
        ({"a": False, "b": np.False_}, "no se cumple", ""),
        ({"a": True, "b_c": False}, "depende", " (no se cumple: b c)"),
        ({"a": True, "b": None}, "depende", " (sin decidir: b)"),
        ({"a": None}, "depende", " (sin decidir: a)"),
        ({"a": None, "b": False, "c": False}, "depende", " (no se cumple: b, c; sin decidir: a)"),
    ],
)
def test_the_tests_decide_the_verdict(tests, wanted, named):
    one = claim("SGD", "003:40", "simple", "2.5 pasos", **tests)
    assert one.verdict == wanted
    assert one.reason == "2,5 pasos" + named


def test_a_claim_without_tests_or_place_is_refused():
    with pytest.raises(ValueError, match="no test"):
        claim("SGD", "003:40", "simple", "")
    for where in ("3:40", "003:40b", "003:40,004:48", ""):
        with pytest.raises(ValueError, match="003:40"):
            claim("SGD", where, "simple", "", a=True)


def test_interval_is_scipys_and_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(0.3, 2.0, size=(4000, 5))
    one = stats.ttest_1samp(samples[0], 0).confidence_interval(0.95)
    mean, half = interval(samples[0])
    np.testing.assert_allclose([mean - half, mean + half], [one.low, one.high], rtol=1e-12)
    answers = [decided(sample, above=0.3) for sample in samples[:1000]]
    wrong = np.mean([answer is not None for answer in answers])
    assert abs(wrong - 0.05) < 4 * (0.05 * 0.95 / 1000) ** 0.5
    assert decided([1.0, 1.0]) is True and decided([0.0, 0.0]) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,482,339 pasos", "1_482_339 pasos"),
        ("con 1, 10 y 100: 3, 26, 277", "con 1, 10 y 100: 3, 26, 277"),
        ("0.25 ± 0.1", "0,25 ± 0,1"),
        ("3e-04 y 1e+06", "3·10⁻⁴ y 10⁶"),
        ("12.5% y 10 %", "12,5_% y 10_%"),
        ("Fin. 3 veces", "Fin. 3 veces"),
    ],
)
def test_spanish_numbers(text, wanted):
    assert spanish(text).replace("\N{NARROW NO-BREAK SPACE}", "_") == wanted


def test_table_keeps_an_optimizers_claims_together(tmp_path, monkeypatch, capsys):
    several = [claim(who, "003:40", words, "", a=True) for who, words in ("Ax", "By", "Az")]
    rows = table(several).splitlines()[2:]
    assert [line.split(" | ")[1][0] for line in rows] == ["x", "z", "y"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["13_9_prueba.py"])
    show_claims(several)
    saved = (tmp_path / "runs" / "course" / "13_9_prueba" / "veredictos.md").read_text("utf-8")
    assert saved == capsys.readouterr().out == table(several) + "\n"
