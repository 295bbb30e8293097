"""Conventions: each framework's update rules and defaults, exactly, and the way from one to us."""

from jaxopt_course.conventions.compare import explain as explain
from jaxopt_course.conventions.keras_state import from_keras as from_keras
from jaxopt_course.conventions.keras_state import schedule_from_keras as schedule_from_keras
from jaxopt_course.conventions.registry import CONVENTIONS as CONVENTIONS
from jaxopt_course.conventions.registry import REGISTERED as REGISTERED
from jaxopt_course.conventions.registry import convention as convention
from jaxopt_course.conventions.torch_schedules import (
    torch_onecycle_schedule as torch_onecycle_schedule,
)
from jaxopt_course.conventions.torch_state import from_torch as from_torch
