"""Muon: momentum, made orthogonal by Newton and Schulz.

For t = 1, 2, ..., on every matrix of r inputs and c outputs (:mod:`.matrices` says which axes):

    momentum    m_t = β m_{t-1} + (1-β) g        m̂ = m_t / (1 - β^t), or Nadam's, which looks ahead
    direction   X = Newton and Schulz of m̂       (:mod:`.orthogonal`)
    step        u = √max(1, c/r) X               "width"; or ρ √max(r, c) X, "consistent RMS"

With m̂ = U S Vᵀ the direction is near U Vᵀ: all directions of the matrix move about equally far,
those of small gradients too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import (
    DecayLike,
    Flag,
    Scalar,
    Transform,
    advance,
    as_decay,
    check_gradient,
    either,
    mean,
    number,
    stateless,
)
from jaxopt_course.describe import described
from jaxopt_course.transforms.adam import corrected_mean
from jaxopt_course.transforms.matrices import Matrix, MatrixAxes, matrix_of_each
from jaxopt_course.transforms.moments import memory
from jaxopt_course.transforms.orthogonal import NEWTON_SCHULZ, Coefficients, newton_schulz
from jaxopt_course.tree import Tree, cast_like, leafwise


class ScaleByMuonState(NamedTuple):
    """Memory of :func:`scale_by_muon`."""

    count: Any  # t: (), int32
    mu: Tree  # m: structure and shapes of the parameters, at least float32, or mu_dtype


@described
def scale_by_muon(
    ns_coeffs: Coefficients = NEWTON_SCHULZ,
    ns_steps: Any = 5,
    beta: DecayLike = 0.95,
    eps: Scalar = 1e-8,
    mu_dtype: Any = None,
    *,
    nesterov: Flag = True,
    adaptive: Flag = False,
    preconditioning: str = "frobenius",
    weight_dimension_numbers: MatrixAxes = None,
    bias_correction: Flag = True,
    eps_in_max: Flag = False,
    ns_dtype: Any = None,
) -> Transform:
    """Muon: m ← β m + (1-β) g, u = the matrix nearest to m̂ whose directions are all of length 1.

    Args:
        ns_coeffs: of Newton and Schulz, as in :func:`.orthogonalize`.
        ns_steps: k, of them, as there.
        beta: β in [0, 1), no unit.
        eps: ε >= 0, in units of g (of the aol and schatten preconditionings: unused).
        mu_dtype: dtype of m; that of the parameters by default, but at least float32.
        nesterov: m̂ looks one step ahead; may be traced.
        adaptive: times ⟨m̂, u⟩, the dual norm of m̂, in units of g; may be traced.
        preconditioning: as in :func:`.orthogonalize`.
        weight_dimension_numbers: which axes are the matrix, see :func:`.matrix_axes`; None: the two
            of each leaf.
        bias_correction: False puts m in the place of m̂ (PyTorch); may be traced.
        eps_in_max: PyTorch's max(‖m̂‖, ε); may be traced.
        ns_dtype: as in :func:`.orthogonalize`.

    Raises:
        ValueError: as :func:`.orthogonalize`.

    Same as ``optax.contrib.scale_by_muon``, which has none of the last three.  Jordan et al.
    (2024), kellerjordan.github.io/posts/muon.

    >>> muon = scale_by_muon(ns_steps=30, ns_coeffs=(1.5, -0.5, 0.0))  # these do converge
    >>> g = jnp.array([[3.0, 0.0], [0.0, 0.01]])
    >>> print(muon.update(g, muon.init(g))[0].round(3))
    [[1. 0.]
     [0. 1.]]
    """
    orthogonal = newton_schulz(ns_coeffs, ns_steps, eps, preconditioning, eps_in_max, ns_dtype)

    def init(params: Tree) -> ScaleByMuonState:
        matrix_of_each(params, weight_dimension_numbers)
        return ScaleByMuonState(jnp.zeros((), jnp.int32), memory(params, mu_dtype))

    def update(g: Tree, state: ScaleByMuonState, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        b, t = as_decay(beta), advance(state.count)
        m = leafwise(mean(b), state.mu, g)
        m_hat = corrected_mean(b, t, nesterov, bias_correction)
        each = iter(matrix_of_each(g, weight_dimension_numbers))

        def step(m: jax.Array, g: jax.Array) -> jax.Array:
            x = m_hat(m, g)
            u = orthogonal(x, next(each))
            dual = lambda: jnp.sum(jnp.conj(x) * u) * u
            return either(adaptive, dual, lambda: u)

        u = leafwise(step, m, g)
        return cast_like(u, g), ScaleByMuonState(t, cast_like(m, state.mu))

    return Transform(init, update)


@described
def scale_by_shape(
    weight_dimension_numbers: MatrixAxes = None, consistent_rms: Scalar | None = None
) -> Transform:
    """A factor of the matrix's shape: u = √max(1, c/r) g, or ρ √max(r, c) g; r inputs, c outputs.

    r and c are those of the matrix that a kernel is read as, not of its last two axes: with these a
    convolution of 512 filters of 3 x 3 over 512 channels would move 512 times too little.

    Args:
        weight_dimension_numbers: as in :func:`scale_by_muon`.
        consistent_rms: ρ, the root mean square of a step of rate 1, whatever the shape; 0.2 is that
            of Adam's.  None: the "width" factor.

    Raises:
        ValueError: a leaf that is no matrix (path in the message).

    Same as ``optax.contrib``'s.  Liu et al. (2025), "Muon is scalable", equation 4.

    >>> wide = scale_by_shape()
    >>> print(wide.update(jnp.ones((1, 4)), wide.init(jnp.ones((1, 4))))[0])
    [[2. 2. 2. 2.]]
    """

    def init(params: Tree) -> Any:
        matrix_of_each(params, weight_dimension_numbers)
        return stateless(params)

    def update(g: Tree, state: Any, params: Tree = None) -> tuple[Tree, Any]:
        check_gradient(g, params)
        each = iter(matrix_of_each(g, weight_dimension_numbers))
        rms = None if consistent_rms is None else number(consistent_rms)

        def factor(m: Matrix) -> Any:
            if rms is None:
                return np.sqrt(max(1.0, m.fan_out / max(m.fan_in, 1)))
            return rms * np.sqrt(max(m.fan_in, m.fan_out))

        return cast_like(
            leafwise(lambda g: jnp.asarray(factor(next(each)), jnp.real(g).dtype) * g, g), g
        ), state

    return Transform(init, update)
