"""Optuna's samplers at the head of a sweep, and studies in its files."""
