"""What optax lacks, as the other frameworks write it: formulas for one leaf, in NumPy float64.

Each is a function of the arguments of our transformation that returns a step,

    step(t, g, *memories) -> (u, *memories)        t = 1, 2, ...

and what the memories start from.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


def transcription(step, *start):
    """A step over leaves, as init and update: without jit, by NumPy, in float64."""

    def init(params):
        return 0, [start for _ in jax.tree.leaves(params)]

    def update(g, state, params=None):
        t, memories = state[0] + 1, state[1]
        leaves, structure = jax.tree.flatten(g)
        wide = [np.asarray(x, np.float64) for x in leaves]
        done = [step(t, x, *memory) for x, memory in zip(wide, memories, strict=True)]
        u = [np.asarray(new[0], jnp.result_type(x)) for x, new in zip(leaves, done, strict=True)]
        return structure.unflatten(u), (t, [new[1:] for new in done])

    return optax.GradientTransformation(init, update)


def rollout(tx, gradients, params):
    """The updates for a stream of gradients, step by step."""
    state, updates = tx.init(params), []
    for t in range(len(jax.tree.leaves(gradients)[0])):
        u, state = tx.update(jax.tree.map(lambda x, t=t: x[t], gradients), state, params)
        updates.append(u)
    return jax.tree.map(lambda *x: np.stack(x), *updates)


def descend(tx, params, steps, rate, slope):
    """Closed loop on the gradients ``slope``, the rate outside: the parameters after each step."""
    state, path = tx.init(params), []
    for s in range(steps):
        u, state = tx.update(slope(params), state, params)
        params = jax.tree.map(lambda p, u, s=s: p - rate(s) * u, params, u)
        path.append(params)
    return jax.tree.map(lambda *x: np.stack(x), *path)


def torch_dampened(decay, dampening, nesterov=False):
    """torch.optim.SGD(momentum, dampening): the buffer starts as the first gradient."""

    def step(t, g, m):
        m = g if t == 1 else decay * m + (1 - dampening) * g
        return (g + decay * m if nesterov else m), m

    return transcription(step, 0.0)


def torch_adagrad(initial_accumulator_value=0.1, eps=1e-7, eps_in_sqrt=False):
    def step(t, g, S):
        S = S + g * g
        return np.where(S == 0, 0, g / (np.sqrt(np.where(S == 0, 1, S)) + eps)), S

    return transcription(step, initial_accumulator_value)


def keras_adam(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, nesterov=False, eps_hat=True):
    """Keras's alpha = √(1 - β2^t) / (1 - β1^t) before m / (√v + ε)."""

    def step(t, g, m, v):
        m, v = m + (g - m) * (1 - b1), v + (g * g - v) * (1 - b2)
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return m_hat * np.sqrt(1 - b2**t) / (np.sqrt(v + eps_root) + eps), m, v

    return transcription(step, 0.0, 0.0)


def uncorrected_adam(
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    bias_correction_mu=True,
    bias_correction_nu=True,
):
    """With m in the place of m̂ as the notes print it (003), with v in the place of v̂."""

    def step(t, g, m, v):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t) if bias_correction_mu else m
        v_hat = v / (1 - b2**t) if bias_correction_nu else v
        return m_hat / (np.sqrt(v_hat + eps_root) + eps), m, v

    return transcription(step, 0.0, 0.0)


def keras_adamax(b1=0.9, b2=0.999, eps=1e-8, eps_in_max=False):
    def step(t, g, m, v):
        m, v = m + (g - m) * (1 - b1), np.maximum(b2 * v, np.abs(g))
        return m / ((1 - b1**t) * (v + eps)), m, v

    return transcription(step, 0.0, 0.0)


def torch_amsgrad(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, max_before_correction=True):
    def step(t, g, m, v, w):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = np.maximum(w, v)
        return m / (1 - b1**t) / (np.sqrt(w / (1 - b2**t) + eps_root) + eps), m, v, w

    return transcription(step, 0.0, 0.0, 0.0)


def keras_amsgrad(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, eps_hat=True):
    def step(t, g, m, v, w):
        m, v = m + (g - m) * (1 - b1), v + (g * g - v) * (1 - b2)
        w = np.maximum(w, v)
        alpha = np.sqrt(1 - b2**t) / (1 - b1**t)
        return m * alpha / (np.sqrt(w + eps_root) + eps), m, v, w

    return transcription(step, 0.0, 0.0, 0.0)


def torch_nadam(b1=0.9, b2=0.999, eps=1e-8, momentum_decay=0.004):
    def step(t, g, m, v, product):
        mu = b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product = product * mu
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        size = np.sqrt(v / (1 - b2**t)) + eps
        u = g / size * (1 - mu) / (1 - product) + m / size * mu_next / (1 - product * mu_next)
        return u, m, v, product

    return transcription(step, 0.0, 0.0, 1.0)


def torch_radam(b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, threshold=5.0, eps_hat=True):
    def step(t, g, m, v):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        m_hat = m / (1 - b1**t)
        far = 2 / (1 - b2) - 1
        rho = far - 2 * t * b2**t / (1 - b2**t)
        if rho <= threshold:
            return m_hat, m, v
        r = np.sqrt((rho - 4) * (rho - 2) * far / ((far - 4) * (far - 2) * rho))
        return r * m_hat * np.sqrt(1 - b2**t) / (np.sqrt(v + eps_root) + eps), m, v

    return transcription(step, 0.0, 0.0)


def uncorrected_adan(b1=0.98, b2=0.92, b3=0.99, eps=1e-8, eps_root=0.0, bias_correction=False):
    def step(t, g, m, v, n, last):
        d = 0 * g if t == 1 else g - last
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + (1 - b2) * d) ** 2
        return (m + (1 - b2) * v) / (np.sqrt(n + eps_root) + eps), m, v, n, g

    return transcription(step, 0.0, 0.0, 0.0, 0.0)


def torch_adafactor(decay_rate=0.8, epsilon=1e-30, last_axes=True, eps_in_max=True):
    """torch's var_estimate: rows, columns and the mean that is clamped."""

    def step(t, g, row, col, v):
        c = t**-decay_rate
        if g.ndim < 2:
            v = v + c * (g * g - v)
            return g / np.sqrt(np.maximum(v, epsilon**2)), row, col, v
        row = row + c * (np.mean(g * g, axis=-1, keepdims=True) - row)
        col = col + c * (np.mean(g * g, axis=-2, keepdims=True) - col)
        whole = row @ col / np.maximum(np.mean(row, axis=-2, keepdims=True), epsilon)
        return g / np.sqrt(np.maximum(whole, epsilon**2)), row, col, v

    return transcription(step, 0.0, 0.0, 0.0)


def keras_clipnorm(max_norm):
    def step(t, g):
        norm = np.sqrt(np.sum(g * g))
        return (g * max_norm / np.maximum(norm, max_norm),)

    return transcription(step)


# (transformation, argument that optax has not) -> as another framework writes it; None: always
TRANSCRIPTIONS = {
    ("dampened_trace", None): torch_dampened,
    ("scale_by_rss", "eps_in_sqrt"): torch_adagrad,
    ("scale_by_adam", "eps_hat"): keras_adam,
    ("scale_by_adam", "bias_correction_mu"): uncorrected_adam,
    ("scale_by_adam", "bias_correction_nu"): uncorrected_adam,
    ("scale_by_adamax", "eps_in_max"): keras_adamax,
    ("scale_by_amsgrad", "max_before_correction"): torch_amsgrad,
    ("scale_by_amsgrad", "eps_hat"): keras_amsgrad,
    ("scale_by_nadam", None): torch_nadam,
    ("scale_by_radam", "eps_hat"): torch_radam,
    ("scale_by_adan", "bias_correction"): uncorrected_adan,
    ("scale_by_factored_rms", "eps_in_max"): torch_adafactor,
    ("clip_by_norm", None): keras_clipnorm,
}


def transcribed(name, kwargs):
    """The transcription of ``name`` with these arguments, or None where optax has it."""
    for argument in (None, *kwargs):
        if made := TRANSCRIPTIONS.get((name, argument)):
            return made(**kwargs)
    return None


def soap_step(xp, k, g, m, v, grams, bases, b1=0.95, b2=0.95, b3=None, eps=1e-8, f=10):
    """One step of the authors' SOAP on a leaf, by NumPy or JAX, k = 0, 1, ... gradients before.

    V and the columns of the bases are sorted anew at each QR decomposition, as there.
    """
    b3 = b2 if b3 is None else b3
    axes = range(g.ndim if g.ndim > 1 and g.size else 0)

    def turned(x, back=False):
        for i in axes:
            x = xp.moveaxis(xp.tensordot(x, bases[i], ((i,), (1 if back else 0,))), -1, i)
        return x

    first, t = k == 0, xp.maximum(k, 1)
    m = xp.where(first, m, b1 * m + (1 - b1) * g)
    v = xp.where(first, v, b2 * v + (1 - b2) * turned(g) ** 2)
    size = xp.sqrt(1 - b2**t) / (1 - b1**t)
    u = xp.where(first, 0, size * turned(turned(m) / (xp.sqrt(v) + eps), back=True))
    new = []
    for i in axes:
        others = tuple(j for j in axes if j != i)
        a = b3 * grams[i] + (1 - b3) * xp.tensordot(g, g, (others, others))
        ahead = a @ bases[i]
        order = xp.argsort(-xp.sum(bases[i] * ahead, axis=0))
        due = ~first & (k % f == 0)
        v = xp.where(due, xp.take(v, order, axis=i), v)
        sizes, start = xp.linalg.eigh(a + 1e-30 * xp.eye(len(a)))
        told = sizes > 1e-12 * sizes[-1]  # the rest is arbitrary there, and completed here
        start = xp.linalg.qr(xp.where(told, start, 0)[:, ::-1])[0]
        q = xp.where(due, xp.linalg.qr(ahead[:, order])[0], bases[i])
        new.append((a, xp.where(first, start, q)))
    return u, m, v, tuple(a for a, _ in new), tuple(q for _, q in new)


class SoapState(NamedTuple):
    k: Any
    mu: Any
    nu: Any
    grams: Any
    bases: Any


def soap_twin(b1=0.95, b2=0.95, b3=None, eps=1e-8, precondition_frequency=10):
    """:func:`soap_step` by JAX, on trees."""

    def init(params):
        params = jax.tree.map(jnp.asarray, params)
        zero = jax.tree.map(jnp.zeros_like, params)
        many = lambda x: x.shape if x.ndim > 1 and x.size else ()
        grams = [tuple(jnp.zeros((n, n), x.dtype) for n in many(x)) for x in jax.tree.leaves(zero)]
        bases = [tuple(jnp.eye(n, dtype=x.dtype) for n in many(x)) for x in jax.tree.leaves(zero)]
        return SoapState(jnp.zeros((), jnp.int32), zero, zero, grams, bases)

    def update(g, state, params=None):
        structure = jax.tree.structure(g)
        columns = [jax.tree.leaves(x) for x in (g, state.mu, state.nu)]
        numbers = (b1, b2, b3, eps, precondition_frequency)
        done = [
            soap_step(jnp, state.k, *leaf, *numbers)
            for leaf in zip(*columns, state.grams, state.bases, strict=True)
        ]
        u, m, v, grams, bases = ([leaf[i] for leaf in done] for i in range(5))
        u, m, v = map(structure.unflatten, (u, m, v))
        return u, SoapState(state.k + 1, m, v, grams, bases)

    return optax.GradientTransformation(init, update)
