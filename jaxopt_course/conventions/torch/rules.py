"""What PyTorch's recipes share: arguments explained once, and turn, decay, scale, step."""

from typing import Any

from jaxopt_course.base import Flag, ScalarOrSchedule, Transform, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.conventions.pieces import by_coordinates, coupled_or_decoupled, directed
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in [0, 1), the share of the buffer kept each step; None is no buffer.",
    "nesterov": "look ahead, see the formula; may be traced.",
    "rho": "ρ in [0, 1), the share that both means keep each step.",
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment v (Lion: of the memory).",
    "dampening": "τ in [0, 1], the share of each gradient but the first that is left out.",
    "initial_accumulator_value": "S_0 >= 0, in units of g².",
    "learning_rate_decay": "d >= 0, per step (``lr_decay``): η / (1 + d s).",
    "decay": "ρ in [0, 1), of the second moment v (``alpha``).",
    "eps": "ε, where the formula has it; in units of g.",
    "centered": "v minus the squared mean of g; traced, the state has room for the mean anyhow.",
    "momentum_decay": "ψ >= 0, per step: how fast μ grows from β1/2 to β1.",
    "weight_decay": "λ >= 0 or a schedule of it; coupled, g + λ θ, unless the formula says else.",
    "maximize": "climb: -g in the place of g, before the decay; may be traced.",
    "decoupled_weight_decay": "η λ θ comes off θ instead, outside all means; may be traced.",
    "mask": "which leaves decay (param_groups): a tree of bools, or a function that makes one.",
    "amsgrad": "divide by the largest v so far; traced, the state has room for it anyhow.",
    "ns_coeffs": 'of Newton and Schulz: (a, b, c), or one triple a step, or "dion".',
    "ns_steps": "k, how many of its steps.",
    "beta": "β in [0, 1), the share of m kept each step (``momentum``).",
    "adam_b1": "β1 of Adam, for what is no matrix.",
    "adam_b2": "β2 of Adam.",
    "adam_weight_decay": "λ of the leaves that Adam trains, or a schedule of it.",
    "consistent_rms": 'ρ of the step, 0.2 in "match_rms_adamw"; None: √max(1, c/r).',
    "muon_weight_dimension_numbers": "which leaves are matrices; by default those of two axes.",
    "adam_eps": "ε of Adam.",
    "adam_learning_rate": "η of Adam, by default that of the matrices.",
    "decay_rate": "d > 0, of V's decay 1 - t^-d (``beta2_decay`` is -d).",
    "eps2": "ε2 > 0, in units of θ: the least root mean square of a leaf.",
    "clipping_threshold": "the largest root mean square of u, no unit.",
    "ns_dtype": "what Newton and Schulz are rounded to; None: float32 or wider.",
}
recipe = documented(
    ARGUMENTS,
    """    Every number and switch may be traced.  Memories are float32 or wider, updates have the
    gradients' dtypes.

    Raises:
        TypeError: no number, schedule or switch where one is taken; None for a rate too.
        ValueError: ``nesterov=True`` as :func:`sgd` says; a decay outside [0, 1]; ``update``
            without the parameters where they decay.

    Source: torch 2.13, ``torch/optim``; golden trajectories in ``tests/golden``.""",
)


def scaled(
    scaling: Transform,
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule,
    maximize: Flag,
    mask: Any,
    decoupled: Flag = False,
) -> Optimizer:
    """Turn round, decay, scale, decay, step; one of the decays is 0."""
    before, after = coupled_or_decoupled(weight_decay, decoupled, mask)
    pieces = (directed(maximize), before, by_coordinates(scaling), after)
    return chain(*pieces, scale_by_learning_rate(learning_rate))
