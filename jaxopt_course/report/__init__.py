"""What was learned: reads a study from disk, never imports jax."""

from jaxopt_course.report.page import write_report as write_report
from jaxopt_course.report.terminal import print_report as print_report
