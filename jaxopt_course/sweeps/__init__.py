"""Many trials in one compiled program; knows neither optimizers nor data sets.

The folder bears the plural, because a submodule ``jaxopt_course.sweep`` would take the place of the
function of that name as soon as it is imported.
"""
