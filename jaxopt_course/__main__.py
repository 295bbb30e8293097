"""``python -m jaxopt_course``: the same as the command ``jaxopt-course``."""

from jaxopt_course.cli import main

main()
