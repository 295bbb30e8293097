"""optax 0.2.8's optimizers: the recipes of :mod:`jaxopt_course.optimizers` as they are.

``ema_momentum``, ``momentum`` and ``nesterov`` are recipes of optax's pieces.  Differences, all
written at the recipe: ``adadelta()`` goes downhill (optax's climbs), centered RMSProp is never NaN.
"""

from jaxopt_course.optimizers import OPTIMIZERS

RECIPES = dict(OPTIMIZERS)
