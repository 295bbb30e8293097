"""The commands: arguments in, one call each, no science."""

from jaxopt_course.cli.dispatch import main as main
