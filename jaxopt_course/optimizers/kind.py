"""What every recipe returns."""

from typing import TypeAlias

import optax

Optimizer: TypeAlias = optax.GradientTransformationExtraArgs
