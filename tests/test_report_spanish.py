"""Every sentence of the report is there in both languages, with the same things in it."""

import ast
import string
from pathlib import Path

import pytest
from report_studies import trial, write

from jaxopt_course.report import spanish, verdict
from jaxopt_course.report.findings import read
from jaxopt_course.report.words import Words, title

HOME = Path(spanish.__file__).parent.parent


def said():
    """The templates of all calls of ``say``, and the strings that are said by name."""
    found = {}
    for file in sorted(HOME.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "say":
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        found[part.value] = file.name
    return found


SAID = said()


def names(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("template", SAID)
def test_every_sentence_has_its_spanish(template):
    assert template in spanish.SENTENCES, SAID[template]


def test_what_is_said_by_name_has_its_spanish_too():
    from jaxopt_course.report import cards, code, doubts, figures_tasks, first, verdict
    from jaxopt_course.report.findings import environment
    from jaxopt_course.report.measures import variance

    rules = [rule for rules in code.RULES.values() for rule in rules.values()]
    wanted = {rule.note for rule in rules if rule.note}
    wanted |= {
        part for figure in (*cards.FOLDED, *figures_tasks.FIGURES) for part in figure[1:3]
    } | {*variance.SOURCES}
    wanted |= {*first.FACTS, *verdict.STATUSES.values(), *doubts.REASONS.values()}
    manifest = {"task": {"name": "a", "examples": {"train": 1}, "split_sha256": "0"}, "lanes": 4}
    manifest |= {"budget": {"steps": 1, "epochs": 1, "batch_size": 1}, "seeds": [1]}
    manifest["platform"] = {"backend": "cpu", "instructions": "Abacus 3, features 0"}
    event = {"event": "finished", "seconds": 1, "compile_seconds": 1, "occupancy": 1}
    event["trial_steps_before"] = 1
    wanted |= {*environment(manifest, [event | {"trial_steps_per_second": 1}])["name"]}
    assert wanted <= {*spanish.SENTENCES}, wanted - {*spanish.SENTENCES}


@pytest.mark.parametrize("english", spanish.SENTENCES)
def test_both_languages_hold_the_same(english):
    assert names(english) == names(spanish.SENTENCES[english])
    assert english.endswith(".") == spanish.SENTENCES[english].endswith(".")


def test_spanish_has_its_decimal_mark_plurals_and_conjunctions():
    w = Words("es")
    assert w.number(0.0123) == "0,0123" and w.number(12) == "12" and w.number("a.b") == "a.b"
    assert w.plus_minus(0.97, 0.012) == "0,970 ± 0,012"
    assert w.share(0.25) == "25\u202f%"
    assert w.whole(1234) == "1234" and w.whole(12345) == "12\u202f345"
    assert w.counted(1, "seed") == "1 semilla" and w.counted(4, "fresh seed") == "4 semillas nuevas"
    assert w.listed(["sgd", "ivon"]) == "sgd e ivon" and w.listed(["a", "b", "c"]) == "a, b y c"
    assert w.listed(list("abcdef")) == "a, b, c y 3 más"
    assert w.title("best_valid_loss") == "mejor pérdida de validación"
    assert w.title("test_accuracy") == "exactitud de prueba"
    assert w.title("seconds") == "seconds"


@pytest.mark.parametrize("lost", [1, 2])
def test_spanish_agrees_with_one_and_with_several(tmp_path, lost):
    rows = [trial(seed=s, status="diverged" if s < lost else "finished") for s in range(4)]
    fresh = [row | {"seed": row["seed"] + 10} for row in rows]
    again = [trial("sgd", seed=s) for s in range(4)]
    second = [row | {"seed": row["seed"] + 10} for row in again]
    found = read(write(tmp_path, [trial(seed=s) for s in range(4)] + again, fresh + second), "es")
    _, table = verdict.ranking_table(found)
    cell = next(x for row in table for x in row if "divergió" in x)
    assert cell.endswith(f"(divergió: {lost} de 4)")
    alone = read(write(tmp_path / "alone", rows), "es")
    said = " ".join([*verdict.remarks(found), *verdict.remarks(alone)])
    assert f"Divergencia en {lost} de 4 entrenamientos;" in said
    assert "hubo divergencia en adam: la media" in said


def test_english_is_as_it_was():
    w = Words()
    assert w.number(0.5) == "0.5" and w.share(0.25) == "25%" and w.whole(1234) == "1,234"
    assert w.title("best_valid_loss") == title("best_valid_loss")
    assert w.say("{a} of {b}", a=1, b=2) == "1 of 2"


def test_another_language_is_refused():
    with pytest.raises(ValueError, match="in en and es, not in 'fr'"):
        Words("fr")


def test_pictures_have_the_languages_decimal_mark(tmp_path):
    from matplotlib.figure import Figure
    from report_studies import trial, write

    from jaxopt_course.report import figures
    from jaxopt_course.report.findings import read

    rows = [trial("adam", x, s, 0.8 + s / 10) for x in (0.01, 0.1) for s in range(2)]
    drawn = Figure()
    assert figures.sensitivity(read(write(tmp_path, rows), "es"), drawn)
    drawn.canvas.draw()
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "tasa de aprendizaje"
    texts = [t.get_text() for t in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    assert any("," in text for text in texts) and not any("." in text for text in texts)
