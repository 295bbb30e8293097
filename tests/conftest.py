"""The weather of tests: four CPU devices, strict rank promotion, patient garbage collection."""

import gc

import jax

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(300_000, 50, 1000)  # by default a fifth of the time goes into walking programs

collect_ignore = ["robustness_frameworks.py"]  # a script that needs torch and keras, no tests
