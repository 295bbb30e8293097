"""What the lessons of ``experiments/`` stand on: figures, a quick mode, exercises, the site."""

from jaxopt_course.course.axes import name_lines as name_lines
from jaxopt_course.course.exercises import Verdict as Verdict
from jaxopt_course.course.exercises import check as check
from jaxopt_course.course.exercises import exercise as exercise
from jaxopt_course.course.lesson import quick as quick
from jaxopt_course.course.lesson import show as show
from jaxopt_course.course.lesson import show_table as show_table
