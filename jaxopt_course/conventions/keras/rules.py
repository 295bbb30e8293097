"""What Keras's recipes share: arguments explained once, and clip, scale, decay, step."""

from typing import Any

from jaxopt_course.base import Scalar, ScalarOrSchedule, Transform, chain
from jaxopt_course.conventions.documented import documented
from jaxopt_course.conventions.pieces import clipped, decayed
from jaxopt_course.optimizers import Optimizer
from jaxopt_course.transforms import scale_by_learning_rate

Bound = Scalar | None
Pull = ScalarOrSchedule | None

ARGUMENTS = {
    "learning_rate": "η, or a schedule s -> η(s), s updates done from 0.",
    "momentum": "μ in [0, 1), the share of the buffer kept each step; None is no buffer.",
    "nesterov": "look ahead, see the formula; may be traced.",
    "rho": "ρ in [0, 1), the share that both means keep each step.",
    "b1": "β1 in [0, 1), of the mean m of the gradients.",
    "b2": "β2 in [0, 1), of the second moment v (Lion: of the memory).",
    "initial_accumulator_value": "S_0 >= 0, in units of g².",
    "decay": "ρ in [0, 1), of the second moment v.",
    "eps": "ε, where the formula has it; in units of g² inside a root, of g outside.",
    "centered": "v minus the squared mean of g; traced, the state has room for the mean anyhow.",
    "warmup_steps": "T >= 0, steps in which the rate grows from η/T to η; 0 is none.",
    "weight_decay": "λ >= 0 or a schedule of it: η λ θ comes off θ, outside all buffers.",
    "mask": "which leaves decay: a tree of bools, or a function of the parameters that makes one.",
    "clipnorm": "bound on the norm of each leaf's g, apart; at most one is given; <= 0: none.",
    "clipvalue": "bound on |g|, coordinate by coordinate; <= 0: none.",
    "global_clipnorm": "bound on the norm of all leaves together; <= 0: none.",
    "amsgrad": "divide by the largest v so far; traced, the state has room for it anyhow.",
    "ns_coeffs": 'of Newton and Schulz: (a, b, c), or one triple a step, or "dion".',
    "ns_steps": "k, how many of its steps.",
    "beta": "β in [0, 1), the share of m kept each step (``momentum``).",
    "adam_b1": "β1 of Adam, for what is no matrix.",
    "adam_b2": "β2 of Adam.",
    "adam_weight_decay": "λ of the leaves that Adam trains, or a schedule of it.",
    "consistent_rms": "ρ of the step (``rms_rate``); None: no factor of the shape.",
    "muon_weight_dimension_numbers": "which leaves are matrices, by default as below.",
    "adam_lr_ratio": "the rate of Adam over η; its decay keeps η.",
    "decay_rate": "d > 0, of V's decay 1 - t^-d (``beta2_decay`` is -d).",
    "eps2": "ε2 > 0, in units of θ: the least root mean square of a leaf.",
    "clipping_threshold": "the largest root mean square of u, no unit.",
    "exclude_layers": "regular expressions; leaves whose path has a match are left to Adam.",
    "exclude_embeddings": 'leave leaves to Adam whose path has "embedding" in it.',
}
recipe = documented(
    ARGUMENTS,
    """    Every number and switch may be traced.  Memories are float32 or wider, updates have the
    gradients' dtypes.

    Raises:
        TypeError: no number, schedule or switch where one is taken; None for a rate too.
        ValueError: more than one bound; a decay outside [0, 1]; ``update`` without the parameters
            where they decay.

    Source: keras 3.15, ``keras/src/optimizers``; golden trajectories in ``tests/golden``.""",
)


def scaled(
    scaling: Transform,
    learning_rate: ScalarOrSchedule,
    weight_decay: Pull,
    mask: Any,
    *clips: Bound,
) -> Optimizer:
    """Clip, scale, decay, step: θ ← θ - η (u + λ θ)."""
    return chain(
        clipped(*clips),
        scaling,
        decayed(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
