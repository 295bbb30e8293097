"""How long each bucket of a table trains."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from jaxopt_course.messages import unknown
from jaxopt_course.problems.streams import Stream
from jaxopt_course.problems.tasks import Task
from jaxopt_course.tables.static import BATCH_SIZE
from jaxopt_course.train import Budget, budget_of, count_examples, make_budget

Equal = Literal["epochs", "steps", "examples"]
EQUAL = ("epochs", "steps", "examples")
OF_A_STUDY = (
    *("epochs", "steps", "record_every", "evaluate_every", "diverges_above", "diverges_after"),
    "lanes",
)


def refuse_budgets(columns: Iterable[str]) -> None:
    """Refuse columns that would say of a trial what is the same for all trials of a study.

    Whoever takes them, the table would claim a budget that its trials did not have.

    Raises:
        ValueError: there is such a column; the message says what to do instead.
    """
    for name in columns:
        if name in OF_A_STUDY:
            raise ValueError(
                f"{name!r} is no column: it is the same for all trials of a study, {name}=…; sweep "
                "each value on its own (or, if it is a number of your own, give it another name)"
            )


def refuse_batch_size(columns: Iterable[str], static: Sequence[str] = ()) -> None:
    """Refuse a column of batch sizes that is not static, whoever reads it.

    Raises:
        ValueError: there is one.
    """
    if BATCH_SIZE in columns and BATCH_SIZE not in static:
        raise ValueError(
            f"a column {BATCH_SIZE!r} changes the shape of the batches, so it is named in "
            f"static=[{BATCH_SIZE!r}], which makes a program of each of its values"
        )


def epoch_of(budget: Budget, task: Task) -> int | None:
    """The steps of an epoch; None of a stream without a length."""
    endless = isinstance(task.train, Stream) and task.train.batches is None
    return None if endless else budget.steps_per_epoch


def batch_sizes(groups: Sequence[Mapping[str, Any]], default: int) -> list[int]:
    """That of each bucket: its static one, or the study's."""
    return [values.get(BATCH_SIZE, default) for values in groups]


def budgets_of(
    tasks: Sequence[Task],
    sizes: Sequence[int],
    batch_size: int = 64,
    epochs: int | None = None,
    steps: int | None = None,
    equal: str | None = None,
    **rest: Any,
) -> list[Budget]:
    """A budget a bucket, equal in what was asked for.

    Args:
        tasks: of the buckets.
        sizes: their batch sizes.
        batch_size: for which the budget is meant, where it is to be equal in something else.
        epochs: this or ``steps``.
        steps: updates.
        equal: "epochs", "steps" or "examples"; default what the budget is given in.
        **rest: as for ``make_budget``.

    Raises:
        TypeError, ValueError: as ``make_budget``; or the budgets cannot be made equal.
    """
    given = "steps" if epochs is None else "epochs"
    equal = given if equal is None else equal
    if equal not in EQUAL:
        raise ValueError(unknown("equal=", equal, EQUAL))
    if equal == given:
        lengths = {"epochs": epochs, "steps": steps}
        pairs = zip(tasks, sizes, strict=True)
        return [budget_of(task.train, batch_size=b, **lengths, **rest) for task, b in pairs]
    if any(isinstance(task.train, Stream) for task in tasks):
        raise ValueError(f"equal={equal!r} is not for streams, whose batches have their own size")
    counts = [count_examples(task.train) for task in tasks]
    if len(set(counts)) > 1:
        raise ValueError(
            f"the tasks of the buckets have {sorted(set(counts))} training examples, so that "
            f"{given}= and equal={equal!r} do not go together; leave equal= out"
        )
    for b in sizes:  # checks what is given
        make_budget(counts[0], epochs=epochs, steps=steps, batch_size=b, **rest)
    if equal == "examples":
        seen = (epochs * counts[0]) if epochs is not None else (steps or 0) * batch_size
        totals = [{"steps": seen // b} for b in sizes]
    else:  # the budget is meant at batch_size=
        an_epoch = make_budget(counts[0], epochs=1, batch_size=batch_size).steps
        if equal == "epochs" and (steps or 0) % an_epoch:
            raise ValueError(
                f"steps={steps} at batch_size={batch_size} are no whole number of epochs, of "
                f"{an_epoch} steps each; give epochs="
            )
        total = {"steps": (epochs or 0) * an_epoch, "epochs": (steps or 0) // an_epoch}[equal]
        totals = [{equal: total}] * len(sizes)
    return [
        make_budget(counts[0], batch_size=b, **total, **rest)
        for b, total in zip(sizes, totals, strict=True)
    ]
