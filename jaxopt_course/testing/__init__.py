"""Contracts that authors of own optimizers, tasks and schedulers run in their own tests.

    check_transformation(tx)      what a sweep and optax rely on in a gradient transformation
    check_task(task)              what it relies on in a task
    check_scheduler(scheduler)    and in a scheduler

Each returns nothing, or raises AssertionError that says what is broken, where, and how to mend it.
"""

from jaxopt_course.testing.schedulers import check_scheduler as check_scheduler
from jaxopt_course.testing.tasks import check_task as check_task
from jaxopt_course.testing.transformations import check_transformation as check_transformation
