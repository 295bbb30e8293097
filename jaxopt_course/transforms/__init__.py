"""Gradient transformations: one idea a file, its variants side by side."""

from jaxopt_course.transforms.adam import scale_by_adam as scale_by_adam
from jaxopt_course.transforms.adam import scale_by_adamax as scale_by_adamax
from jaxopt_course.transforms.adam_variants import scale_by_amsgrad as scale_by_amsgrad
from jaxopt_course.transforms.adam_variants import scale_by_nadam as scale_by_nadam
from jaxopt_course.transforms.adam_variants import scale_by_radam as scale_by_radam
from jaxopt_course.transforms.ademamix import scale_by_ademamix as scale_by_ademamix
from jaxopt_course.transforms.cautious import cautious as cautious
from jaxopt_course.transforms.clipping import clip as clip
from jaxopt_course.transforms.clipping import clip_by_global_norm as clip_by_global_norm
from jaxopt_course.transforms.clipping import clip_by_norm as clip_by_norm
from jaxopt_course.transforms.decay import add_decayed_weights as add_decayed_weights
from jaxopt_course.transforms.learning_rate import scale as scale
from jaxopt_course.transforms.learning_rate import scale_by_learning_rate as scale_by_learning_rate
from jaxopt_course.transforms.learning_rate import scale_by_schedule as scale_by_schedule
from jaxopt_course.transforms.lion import scale_by_lion as scale_by_lion
from jaxopt_course.transforms.momentum import dampened_trace as dampened_trace
from jaxopt_course.transforms.momentum import ema as ema
from jaxopt_course.transforms.momentum import trace as trace
from jaxopt_course.transforms.second_moment import scale_by_adadelta as scale_by_adadelta
from jaxopt_course.transforms.second_moment import scale_by_rms as scale_by_rms
from jaxopt_course.transforms.second_moment import scale_by_rss as scale_by_rss
from jaxopt_course.transforms.second_moment import scale_by_stddev as scale_by_stddev
from jaxopt_course.transforms.switch import switch as switch
