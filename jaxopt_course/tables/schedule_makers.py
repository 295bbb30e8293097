"""Schedules by name, as a table's columns make them: the rate first, the rest with a default."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxopt_course import schedules
from jaxopt_course.base import Schedule
from jaxopt_course.conventions.torch_schedules import torch_onecycle_schedule
from jaxopt_course.transforms.plateau import LIKE, rules


@dataclass(frozen=True)
class Share:
    """A default that is a share of the study's steps, rounded; or its inverse."""

    of_steps: float
    inverse: bool = False
    least: float = 0.0

    def at(self, steps: int) -> float:
        """The number of steps, or 1 over it."""
        whole = max(float(round(self.of_steps * steps)), self.least)
        return 1 / whole if self.inverse else whole


ALL, TENTH, HALF = Share(1.0), Share(0.1), Share(0.5)
FIFTH, SEVENTH = Share(0.2, least=1.0), Share(1 / 7, least=1.0)
FIRST_TENTH, FIFTIETH = Share(0.1, least=1.0), Share(0.02, least=1.0)


def _constant(rate: Any) -> Schedule:
    return schedules.constant_schedule(rate)


def _inverse_time(rate: Any, decay_rate: Any = Share(1.0, inverse=True)) -> Schedule:
    return schedules.inverse_time_decay(rate, decay_rate)


def _exponential(
    rate: Any,
    decay_rate: Any,
    transition_steps: Any = ALL,
    transition_begin: Any = 0.0,
    staircase: Any = False,
) -> Schedule:
    return schedules.exponential_decay(
        rate, transition_steps, decay_rate, transition_begin, staircase
    )


def _polynomial(
    rate: Any,
    end_value: Any = 0.0,
    power: Any = 1.0,
    transition_steps: Any = ALL,
    transition_begin: Any = 0.0,
) -> Schedule:
    return schedules.polynomial_schedule(rate, end_value, power, transition_steps, transition_begin)


def _linear(
    rate: Any, end_value: Any = 0.0, transition_steps: Any = ALL, transition_begin: Any = 0.0
) -> Schedule:
    return schedules.linear_schedule(rate, end_value, transition_steps, transition_begin)


def _cosine(rate: Any, decay_steps: Any = ALL, alpha: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    return schedules.cosine_decay_schedule(rate, decay_steps, alpha, exponent)


def _warmup_constant(rate: Any, warmup_steps: Any = TENTH, init_value: Any = 0.0) -> Schedule:
    return schedules.warmup_constant_schedule(init_value, rate, warmup_steps)


def _warmup_cosine(
    rate: Any,
    warmup_steps: Any = TENTH,
    decay_steps: Any = ALL,
    init_value: Any = 0.0,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    return schedules.warmup_cosine_decay_schedule(
        init_value, rate, warmup_steps, decay_steps, end_value, exponent
    )


def _linear_onecycle(
    rate: Any,
    transition_steps: Any = ALL,
    pct_start: Any = 0.3,
    pct_final: Any = 0.85,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    return schedules.linear_onecycle_schedule(
        transition_steps, rate, pct_start, pct_final, div_factor, final_div_factor
    )


def _cosine_onecycle(
    rate: Any,
    transition_steps: Any = ALL,
    pct_start: Any = 0.3,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    return schedules.cosine_onecycle_schedule(
        transition_steps, rate, pct_start, div_factor, final_div_factor
    )


def _step(rate: Any, boundary: Any = HALF, scale: Any = 0.1) -> Schedule:
    return schedules.piecewise_constant_schedule(rate, boundaries=[boundary], scales=[scale])


def _warmup_linear(
    rate: Any,
    warmup_steps: Any = TENTH,
    decay_steps: Any = ALL,
    init_value: Any = 0.0,
    end_value: Any = 0.0,
) -> Schedule:
    return schedules.warmup_linear_decay_schedule(
        init_value, rate, warmup_steps, decay_steps, end_value
    )


def _wsd(
    rate: Any,
    transition_steps: Any = ALL,
    warmup_share: Any = 0.1,
    decay_share: Any = 0.2,
    init_value: Any = 0.0,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    return schedules.wsd_schedule(
        init_value, rate, transition_steps, warmup_share, decay_share, end_value, exponent
    )


def _inverse_sqrt(
    rate: Any,
    warmup_steps: Any = TENTH,
    timescale: Any = FIRST_TENTH,
    transition_steps: Any = ALL,
    cooldown_steps: Any = FIFTH,
    init_value: Any = 0.0,
    end_value: Any = 0.0,
) -> Schedule:
    return schedules.inverse_sqrt_schedule(
        init_value, rate, warmup_steps, timescale, transition_steps, cooldown_steps, end_value
    )


def _cosine_restarts(
    rate: Any,
    first_decay_steps: Any = SEVENTH,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
) -> Schedule:
    return schedules.cosine_restarts_schedule(rate, first_decay_steps, t_mul, m_mul, alpha)


def _polynomial_cycles(
    rate: Any, end_value: Any = 0.0, power: Any = 1.0, decay_steps: Any = FIFTH
) -> Schedule:
    return schedules.polynomial_cycles_schedule(rate, end_value, power, decay_steps)


def _torch_onecycle(anneal: str) -> Callable[..., Schedule]:
    def make(
        rate: Any,
        transition_steps: Any = ALL,
        pct_start: Any = 0.3,
        div_factor: Any = 25.0,
        final_div_factor: Any = 1e4,
        three_phase: Any = False,
    ) -> Schedule:
        return torch_onecycle_schedule(
            transition_steps,
            rate,
            pct_start,
            div_factor,
            final_div_factor,
            anneal_strategy=anneal,
            three_phase=three_phase,
        )

    return make


def _on_plateau(like: str) -> Callable[..., Schedule]:
    _, relative, absolute = LIKE[like]

    def make(
        rate: Any,
        factor: Any = 0.1,
        patience: Any = 10.0,
        rtol: Any = relative,
        atol: Any = absolute,
        cooldown: Any = 0.0,
        accumulation_size: Any = FIFTIETH,
        min_scale: Any = 0.0,
    ) -> Schedule:
        """Before the first cut; the cuts are the optimizer's, who sees the loss."""
        rules(factor, patience, rtol, atol, cooldown, accumulation_size, min_scale, like=like)
        return schedules.constant_schedule(rate)

    return make


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": _constant,
    "inverse_time": _inverse_time,
    "exponential": _exponential,
    "polynomial": _polynomial,
    "linear": _linear,
    "cosine": _cosine,
    "warmup_constant": _warmup_constant,
    "warmup_cosine": _warmup_cosine,
    "linear_onecycle": _linear_onecycle,
    "cosine_onecycle": _cosine_onecycle,
    "step": _step,
    "warmup_linear": _warmup_linear,
    "wsd": _wsd,
    "inverse_sqrt": _inverse_sqrt,
    "cosine_restarts": _cosine_restarts,
    "polynomial_cycles": _polynomial_cycles,
    "torch.cosine_onecycle": _torch_onecycle("cos"),
    "torch.linear_onecycle": _torch_onecycle("linear"),
    "reduce_on_plateau": _on_plateau("optax"),
    "torch.reduce_on_plateau": _on_plateau("torch"),
    "keras.reduce_on_plateau": _on_plateau("keras"),
}
# name -> whose rule it is, of the schedules that are decided by the loss
PLATEAUS = {"reduce_on_plateau": "optax"} | {
    f"{like}.reduce_on_plateau": like for like in ("torch", "keras")
}
