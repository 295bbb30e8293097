"""Conventions: each framework's update rules and defaults, exactly, and the way from one to us."""

from jaxopt_course.conventions.registry import CONVENTIONS as CONVENTIONS
from jaxopt_course.conventions.registry import REGISTERED as REGISTERED
from jaxopt_course.conventions.registry import convention as convention
