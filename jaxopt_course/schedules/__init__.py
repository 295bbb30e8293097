"""Learning rates that change with time: a schedule maps the step s = 0, 1, 2, ... to a number.

    constant        η_s = η_0
    inverse time    η_s = η_0 / (1 + η_d s)
    exponential     η_s = η_0 r^{s/T}
    polynomial      η_s = (η_0 - η_T) (1 - s/T)^p + η_T            s <= T; linear for p = 1
    cosine          η_s = η_0 ((1 - α) (½ + ½ cos(π s/T))^p + α)    s <= T
    warm-up         linear from η_0 to the peak in W steps, then constant, linear or cosine
    WSD             warm-up, stable, decay in the last share of T
    inverse root    warm-up, η √(τ/(τ + s - W)), and a line down in the last C steps
    restarts        the cosine again and again, each time longer; the polynomial with cycles
    one cycle       up to the peak and down again, lower than the start
    piecewise       η_0 times the scales of all boundaries passed
    join            one schedule after the other, each from its own step 0

The step is the number of updates done, so the first update uses schedule(0).  Every argument may
be a Python number or traced, horizons, boundaries, powers and switches included: a sweep over
warm-ups is one program.  A schedule takes a step (), int32 or float, and returns a rate (), float32
(float64 where enabled).  Names, positions and defaults of the arguments are optax's.

A number out of range raises ValueError when the schedule is made.  A traced one cannot, and counts
as the nearest that makes sense, so that every value and every derivative stays finite: a horizon
<= 0 holds the rate at its first value, as a ratio r <= 0 does; a decay rate, a power or a warm-up
below 0 counts as 0, a factor that divides as 1 unless above 0, a share as within 0 and 1; and what
would grow without end stops at 1e30 times its start.
"""

from jaxopt_course.schedules.cooldowns import inverse_sqrt_schedule, wsd_schedule
from jaxopt_course.schedules.cycles import cosine_restarts_schedule, polynomial_cycles_schedule
from jaxopt_course.schedules.decays import (
    constant_schedule,
    exponential_decay,
    inverse_time_decay,
    linear_schedule,
    polynomial_schedule,
)
from jaxopt_course.schedules.joins import join_schedules, piecewise_constant_schedule
from jaxopt_course.schedules.onecycle import cosine_onecycle_schedule, linear_onecycle_schedule
from jaxopt_course.schedules.warmups import (
    cosine_decay_schedule,
    warmup_constant_schedule,
    warmup_cosine_decay_schedule,
    warmup_linear_decay_schedule,
)

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "cosine_restarts_schedule",
    "exponential_decay",
    "inverse_sqrt_schedule",
    "inverse_time_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "polynomial_cycles_schedule",
    "polynomial_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_linear_decay_schedule",
    "wsd_schedule",
]
