"""What a trial of an Optuna study is told."""

from typing import Any

from jaxopt_course.report.optuna import Told


def report(trial: Any, told: Told) -> None:
    """The curve and the attributes."""
    for step, value in told.curve.items():
        trial.report(value, step)
    for key, attribute in told.attributes.items():
        trial.set_user_attr(key, attribute)


def tell(optuna_study: Any, trial: Any, value: float | None, state: Any) -> bool:
    """Finish the trial; whether its sampler has no more to propose, as one of a grid."""
    try:
        optuna_study.tell(trial, value, state, skip_if_finished=True)
    except RuntimeError as error:  # that is how samplers stop a study, once the trial is told
        if "Study.stop" not in str(error):
            raise
        return True
    return False
