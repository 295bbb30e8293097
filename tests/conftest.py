"""The weather of every test: four CPU devices, strict rank promotion."""

import jax

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

collect_ignore = ["robustness_frameworks.py"]  # a script that needs torch and keras, no tests
