"""Look into a running optimizer: its hyperparameters, its groups, its damage.

hyperparameters(tx, state)    {"learning_rate": η of the next update, "b1": ..., ...}
audit(tx, params)             table: path | group | hyperparameters | state bytes
diagnose(state)               table: leaves whose memory is infinite, NaN, negative or too large
"""

from jaxopt_course.inspection.damage import diagnose as diagnose
from jaxopt_course.inspection.leaves import audit as audit
from jaxopt_course.inspection.values import hyperparameters as hyperparameters
