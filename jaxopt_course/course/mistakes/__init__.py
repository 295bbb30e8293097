"""The ten optimizers of the course as exercises, each with the mistakes that are often made."""

from jaxopt_course.course.mistakes.adam import ADAM
from jaxopt_course.course.mistakes.adamax import ADAMAX
from jaxopt_course.course.mistakes.adamw import ADAMW
from jaxopt_course.course.mistakes.momentums import EMA_MOMENTUM, MOMENTUM, NESTEROV, SGD
from jaxopt_course.course.mistakes.second_moments import ADADELTA, ADAGRAD, RMSPROP
from jaxopt_course.course.mistakes.shared import known_mistakes as known_mistakes
from jaxopt_course.course.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "sgd": SGD,
    "momentum": MOMENTUM,
    "ema_momentum": EMA_MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adadelta": ADADELTA,
    "adam": ADAM,
    "adamw": ADAMW,
    "adamax": ADAMAX,
}
