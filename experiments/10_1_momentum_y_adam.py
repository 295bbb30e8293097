# %% [markdown]
# # 10.1. Erratas de momentum y de Adam
#
# Toda fórmula de los apuntes puede ejecutarse, y ejecutarla es la forma más corta de saber si está
# bien escrita. En las cinco partes de esta lección cada errata es un experimento con tres
# resultados:
#
# - lo que da la fórmula **impresa**;
# - lo que da la fórmula **correcta**;
# - la **verdad**, que viene siempre de otra parte: la biblioteca, `jax.grad`, una solución cerrada.
#
# Los tres pasan por la misma medida. La correcta tiene que coincidir con la verdad hasta
# $10^{-12}$, y la impresa tiene que apartarse de ella más de un uno por ciento, o detenerse con el
# error que se anuncia. Si no, la lección falla. De esos experimentos sale la tabla del final: los
# números los calcula la lección.
#
# De cada errata se copia la línea tal como está impresa y se da el título de su apartado. Los
# apuntes son cinco: 000 (notas de Keras), 001 (Richaud), 002 (CIF-8458, unas diapositivas), 003
# (Aprendizaje Automático) y 004 (Métodos Numéricos 2).
#
# **Al terminar sabrás** comprobar una fórmula ejecutándola contra una verdad que viene de otra
# parte; distinguir la suma del momentum de una media móvil; reconocer un Adam mal corregido por sus
# primeros pasos.
#
# **Hace falta** las lecciones [3](03_momentum.py) y [5](05_adam.py).

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxopt_course as joc
from jaxopt_course.course import show
from jaxopt_course.course.errata import Errata, Measure
from jaxopt_course.course.walks import exact, walk

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
errata = Errata()

# %% [markdown]
# ## El terreno
#
# Las reglas de actualización se escriben en NumPy, en doble precisión, como en la pizarra:
# `rule(w, memory, slope, t)`, donde `slope(w, t)` es el gradiente y `t` cuenta desde uno. La
# función `walk` da los pasos, y lo mismo recorre el camino de una regla que el de un optimizador de
# la biblioteca. El terreno común es un tazón cuadrático de tres curvaturas; además hay uno llano y
# otro en el que el gradiente vale siempre 1.


# %%
START, STEPS = np.array([0.5, -1.0, 2.0]), 60


def bowl(w, t):
    return np.array([3.0, 1.0, 0.3]) * (w - np.array([1.0, -2.0, 0.5]))


def flat(w, t):
    return 0 * w


def ones(w, t):
    return 0 * w + 1.0


# %%
def same(a, b):
    return np.allclose(a, b, rtol=1e-12, atol=1e-12)


# %% [markdown]
# ## Momentum
#
# Las dos formas correctas, la clásica y la de Nesterov, que solo se distinguen por el punto donde
# se mira el gradiente:
#
# $$v_{t+1} = \gamma v_t + \eta\,\nabla E(w_t), \qquad w_{t+1} = w_t - v_{t+1}$$
#
# $$v_{t+1} = \gamma v_t + \eta\,\nabla E(w_t - \gamma v_t), \qquad w_{t+1} = w_t - v_{t+1}$$
#
# Las diapositivas multiplican además el peso por $\gamma$. Ese factor es un decaimiento de pesos
# disfrazado: aun sin gradiente, la red olvida lo aprendido.


# %%
ETA, GAMMA = 0.01, 0.9


def momentum(w, v, slope, t, eta=ETA, gamma=GAMMA, factor=1.0):
    v = gamma * v + eta * slope(w, t)
    return factor * w - v, v


def nesterov(w, v, slope, t, eta=ETA, gamma=GAMMA, factor=1.0):
    v = gamma * v + eta * slope(w - gamma * v, t)
    return factor * w - v, v


assert same(walk(momentum, bowl, START, STEPS), walk(joc.momentum(ETA, GAMMA), bowl, START, STEPS))
path = walk(nesterov, bowl, START, STEPS)
velocity = -np.diff(path, axis=0, prepend=START[None])
ahead = path - GAMMA * velocity  # la biblioteca guarda los puntos donde se toma el gradiente
assert same(ahead, walk(joc.nesterov(ETA, GAMMA), bowl, START, STEPS))

# %%
pull = lambda w, t: w - 3  # de ½(w-3)²
cases = {}
for name in ("clásico", "Nesterov"):
    cases |= {
        f"peso tras 50 pasos sin gradiente, desde 1 ({name})": lambda rules, name=name: walk(
            rules[name], flat, 1.0, 50
        )[-1],
        f"dónde se detiene en ½(w−3)² ({name})": Measure(
            lambda rules, name=name: walk(rules[name], pull, 0.0, 1500)[-1], truth=3.0
        ),
    }
errata.judge(
    "E1",
    "002:548 y 002:582",
    "momentum encoge los pesos",
    quote=r"$w_{t+1} \leftarrow \gamma w_t - v_{t+1}$",
    printed=(
        r"$w_{t+1} \leftarrow \gamma w_t - v_{t+1}$",
        {"clásico": partial(momentum, factor=GAMMA), "Nesterov": partial(nesterov, factor=GAMMA)},
    ),
    right=(
        r"$w_{t+1} \leftarrow w_t - v_{t+1}$",
        {"clásico": momentum, "Nesterov": nesterov},
    ),
    truth={"clásico": joc.momentum(ETA, GAMMA), "Nesterov": joc.nesterov(ETA, GAMMA)},
    cases=cases,
)

# %% [markdown]
# El punto donde se detiene la forma clásica impresa se puede despejar, $w = \eta c / (\eta +
# (1-\gamma)^2)$ con el óptimo en $c$. Para estos números es justo la mitad del camino.

# %%
stuck = errata["E1"].cases[1].printed
assert same(stuck, ETA * 3 / (ETA + (1 - GAMMA) ** 2)) and same(stuck, 3 / 2)
print(f"se detiene en {stuck:.4f}, y el óptimo es 3")

# %% [markdown]
# Al desarrollar la velocidad se cuelan dos exponentes. La verdad es aquí la velocidad que lleva el
# momentum de la biblioteca después de ver los tres gradientes.


# %%
def v3_printed(eta, gamma, g):
    return eta * g[2] + gamma * eta * g[1] + gamma * eta**2 * g[0]


def v3_right(eta, gamma, g):
    return eta * g[2] + gamma * eta * g[1] + gamma**2 * eta * g[0]


def vt_printed(eta, gamma, g):
    j, t = np.arange(1, len(g) + 1), len(g)
    return eta * np.sum(gamma ** (j - float(t)) * g)


def vt_right(eta, gamma, g):
    j, t = np.arange(1, len(g) + 1), len(g)
    return eta * np.sum(gamma ** (float(t) - j) * g)


def last_velocity(eta, gamma, g):
    path = walk(joc.momentum(eta, gamma), lambda w, t: jnp.asarray(g)[t - 1], 0.0, len(g))
    return path[-2] - path[-1]


three = {"v₃ con η=0,1, γ=0,5 y g=(1, 2, 3)": lambda v: v(0.1, 0.5, (1.0, 2.0, 3.0))}
errata.judge(
    "E2",
    "002:564",
    "exponente en la tercera velocidad",
    quote=r"$v_3 = \eta g_3 + \gamma \eta g_2 + \gamma \eta^2 g_1$",
    printed=(r"$v_3 = \eta g_3 + \gamma\eta g_2 + \gamma\eta^2 g_1$", v3_printed),
    right=(r"$v_3 = \eta g_3 + \gamma\eta g_2 + \gamma^2\eta g_1$", v3_right),
    truth=last_velocity,
    cases=three,
)
errata.judge(
    "E2b",
    "002:566",
    "exponente cambiado de signo en la suma",
    quote=r"$v_t = \eta \sum_{j=1}^t \gamma^{j-t} g_j$",
    printed=(r"$v_t = \eta\sum_{j=1}^{t}\gamma^{\,j-t} g_j$", vt_printed),
    right=(r"$v_t = \eta\sum_{j=1}^{t}\gamma^{\,t-j} g_j$", vt_right),
    truth=last_velocity,
    cases=three,
)

# %% [markdown]
# El segundo es peor de lo que parece: con el exponente al revés, lo más antiguo es lo que más pesa,
# y la velocidad crece sin límite aunque el gradiente se apague.

# %%
one_and_nothing = np.eye(1, 50)[0]  # un gradiente de 1, y luego ceros
assert vt_printed(0.1, 0.5, one_and_nothing) > 1e12 > 1e-12 > vt_right(0.1, 0.5, one_and_nothing)

# %% [markdown]
# ¿Suma o media? Con $v = \gamma v + \eta g$ los gradientes se **suman**: uno constante termina
# amplificado por $1/(1-\gamma)$. Una media móvil es otra cosa; la de los apuntes 001,
#
# $$v_t = \beta v_{t-1} + (1-\beta)\,g_t, \qquad w_{t+1} = w_t - \eta v_t,$$
#
# devuelve un gradiente constante tal cual. Las diapositivas escriben la suma y la llaman media.


# %%
def ema_momentum(w, v, slope, t, eta=ETA, beta=GAMMA):
    v = beta * v + (1 - beta) * slope(w, t)
    return w - eta * v, v


tx = joc.ema_momentum(ETA, GAMMA)
assert same(walk(ema_momentum, bowl, START, STEPS), walk(tx, bowl, START, STEPS))


def lengths(method, steps, eta, slope=ones):
    """Cuánto baja cada paso desde 0, en unidades de η."""
    return -np.diff(walk(method, slope, 0.0, steps), prepend=0.0) / eta


errata.judge(
    "E2c",
    "002:556",
    "una suma llamada media móvil",
    quote="El método calcula la media móvil exponencial de los gradientes actuales y pasados",
    printed=(r"«media móvil exponencial»: $v_t = \gamma v_{t-1} + \eta g_t$", momentum),
    right=(
        r"es una suma; la media: $v_t = \gamma v_{t-1} + (1-\gamma) g_t$, "
        r"$w \leftarrow w - \eta v_t$",
        ema_momentum,
    ),
    truth=joc.ema_momentum(ETA, GAMMA),
    cases={
        "«media» de gradientes que valen todos 1 (último paso / η)": lambda rule: lengths(
            rule, 400, ETA
        )[-1]
    },
)
assert same(errata["E2c"].cases[0].printed, 1 / (1 - GAMMA))

# %% [markdown]
# ## Adam
#
# La regla completa, con las dos correcciones de sesgo y $t = 1, 2, \dots$
#
# $$m_t = \beta_1 m_{t-1} + (1-\beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1-\beta_2) g_t^2$$
#
# $$w_t = w_{t-1} - \eta\,\frac{\hat m_t}{\sqrt{\hat v_t} + \varepsilon}, \qquad
# \hat m_t = \frac{m_t}{1-\beta_1^t}, \qquad \hat v_t = \frac{v_t}{1-\beta_2^t}$$
#
# Los apuntes 003 corrigen solo $v$; los 002, los dos, pero con uno de más en el exponente. Un
# gradiente constante delata ambas cosas: el Adam correcto da todos los pasos de tamaño $\eta$,
# desde el primero.


# %%
RATE = 1e-3


def adam(w, memory, slope, t, eta=RATE, b1=0.9, b2=0.999, eps=1e-8, corrects_m=True, later=0):
    g = slope(w, t)
    m, v = memory or (0.0, 0.0)
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    n = t + later
    m_hat, v_hat = m / (1 - b1**n) if corrects_m else m, v / (1 - b2**n)
    return w - eta * m_hat / (np.sqrt(v_hat) + eps), (m, v)


assert same(walk(adam, bowl, START, STEPS), walk(joc.adam(RATE), bowl, START, STEPS))

errata.judge(
    "E3",
    "003:41",
    "Adam sin corregir el primer momento",
    quote=r"$w \leftarrow w - \alpha \frac{m_t}{\sqrt{\frac{v_t}{1 - \beta_2^t}} + \epsilon}$",
    printed=(
        r"$w \leftarrow w - \alpha\, m_t / (\sqrt{v_t/(1-\beta_2^t)} + \epsilon)$",
        partial(adam, corrects_m=False),
    ),
    right=(
        r"$w \leftarrow w - \alpha\, \hat m_t / (\sqrt{\hat v_t} + \epsilon)$, con "
        r"$\hat m_t = m_t/(1-\beta_1^t)$",
        adam,
    ),
    truth=joc.adam(RATE),
    cases={
        "los cinco primeros pasos / η con gradiente 1": lambda rule: lengths(rule, 5, RATE),
    },
)
errata.judge(
    "E4",
    "002:648 y 002:650",
    "exponente de más en las correcciones",
    quote=r"$\widehat{V}_t = \frac{V_t}{1 - (\beta_1)^{t+1}}$, $\hat{S}_t = \frac{S_t}{1 - "
    r"(\beta_2)^{t+1}}$",
    printed=(
        r"$\hat V_t = V_t/(1-\beta_1^{t+1})$, $\hat S_t = S_t/(1-\beta_2^{t+1})$",
        partial(adam, later=1),
    ),
    right=(
        r"$\hat V_t = V_t/(1-\beta_1^{t})$, $\hat S_t = S_t/(1-\beta_2^{t})$, con $t \geq 1$",
        adam,
    ),
    truth=joc.adam(RATE),
    cases={"primer paso / η con gradiente 1": lambda rule: lengths(rule, 1, RATE)},
)

# %% [markdown]
# En justicia, la fórmula de los apuntes 002 sería correcta si $t$ empezara en cero y las memorias
# nulas fueran $V_{-1}$ y $S_{-1}$. Pero ni ella lo dice ni es lo que hace su Adagrad, que parte de
# $S_0 = 0$ y por tanto cuenta desde $t = 1$.

# %%
from_zero = lambda w, memory, slope, t: adam(w, memory, slope, t - 1, later=1)
assert same(walk(from_zero, bowl, START, STEPS), walk(adam, bowl, START, STEPS))

# %% [markdown]
# Queda una trampa de notación, en los apuntes 003: $\nabla_w^2 \mathcal L$ se lee como la segunda
# derivada. Lo que Adam y RMSProp promedian es el cuadrado de la primera.


# %%
def cost(w):
    return 1.5 * w**2


def entered_v(f):
    """Lo que entra en el segundo momento de Adam en su primer paso."""
    tx = joc.adam(RATE, b2=0.999)

    def nu(w):
        _, state = tx.update(jax.grad(f)(w), tx.init(w), w)
        return optax.tree.get(state, "nu") / (1 - 0.999)

    return nu


errata.judge(
    "E3b",
    "003:41 y 003:42",
    "segunda derivada por cuadrado de la primera",
    quote=r"$v_t \leftarrow \beta_2 v_{t-1} + (1 - \beta_2) \nabla_w^2 \mathcal{L}$",
    printed=(
        r"$v_t \leftarrow \beta_2 v_{t-1} + (1-\beta_2)\nabla_w^2\mathcal{L}$",
        jax.hessian(cost),
    ),
    right=(
        r"$v_t \leftarrow \beta_2 v_{t-1} + (1-\beta_2)(\nabla_w\mathcal{L})^2$",
        lambda w: (3.0 * w) ** 2,
    ),
    truth=entered_v(cost),
    cases={"lo que entra en v₁ con la pérdida ½·3·w², en w=2": lambda f: exact(f, 2.0)},
)

# %% [markdown]
# ## En figuras
#
# Azul, la fórmula correcta; naranja, la impresa.

# %%
fig, (top, middle, bottom) = plt.subplots(3, 1, figsize=(6.5, 9.5), layout="constrained")
t = np.arange(1, 301)
top.plot(t, walk(momentum, pull, 0.0, 300), color=BLUE, lw=2.5, label="correcta")
printed = walk(partial(momentum, factor=GAMMA), pull, 0.0, 300)
top.plot(t, printed, color=ORANGE, lw=2, ls="--", label="impresa")
top.axhline(3, color=GREY, lw=1)
top.annotate("óptimo", (300, 3), xytext=(0, 4), textcoords="offset points", ha="right")
top.set(xlabel="paso", ylabel="peso $w$", title="E1. Momentum en ½(w−3)²")

t = np.arange(1, 41)
middle.plot(t, lengths(ema_momentum, 40, ETA), color=BLUE, lw=2.5, label="media")
middle.plot(t, lengths(momentum, 40, ETA), color=ORANGE, lw=2, ls="--", label="suma")
middle.set(xlabel="paso", ylabel="paso / $\\eta$", title="E2c. Gradiente 1")

bottom.plot(t, lengths(adam, 40, RATE), color=BLUE, lw=2.5, label="correcta")
printed = lengths(partial(adam, corrects_m=False), 40, RATE)
bottom.plot(t, printed, color=ORANGE, lw=2, ls="--", label="impresa en los apuntes 003 (E3)")
printed = lengths(partial(adam, later=1), 40, RATE)
bottom.plot(t, printed, color=GREEN, lw=2, ls=":", label="impresa en los apuntes 002 (E4)")
bottom.set(
    xlabel="paso", ylabel="paso / $\\eta$", title="E3 y E4. Adam, gradiente 1", ylim=(0, 1.1)
)
for ax in (top, middle, bottom):
    ax.legend()
show(
    fig,
    "metodos",
    "El momentum, una «media» que es suma y Adam: la fórmula correcta y las impresas",
)

# %% [markdown]
# Arriba, el momentum impreso se detiene a medio camino y no vuelve a moverse. Abajo, Adam sin
# corregir $m$ arranca con pasos diez veces más cortos y tarda decenas de pasos en alcanzar a los
# otros; con el exponente de más el defecto es menor y se borra antes, que es
# justamente lo que lo hace difícil de ver.

# %%
assert abs(errata["E3"].cases[0].printed[0] - 1 / 10) < 1e-6
assert lengths(partial(adam, corrects_m=False), 40, RATE)[20] < 0.9
assert abs(lengths(partial(adam, later=1), 40, RATE)[20] - 1) < 0.02

# %% [markdown]
# ## La tabla
#
# Una fila por caso: lo que se midió y lo que dio cada fórmula.

# %%
errata.show()
show(errata.chart(), "cuanto", "Cuánto se equivoca cada errata, en el peor de sus casos")

# %% [markdown]
# Un error pequeño no es un error inocente: el de E2 cambia según los números que se le den, y el de
# E4 desaparece con los pasos.

# %% [markdown]
# ## En resumen
#
# - Un factor que multiplica al peso es un decaimiento disfrazado: aun sin gradiente, la red olvida
#   (E1).
# - Con el exponente al revés lo más antiguo es lo que más pesa, y la velocidad crece sin límite
#   (E2b).
# - La suma amplifica un gradiente constante por $1/(1-\gamma)$; la media lo devuelve tal cual
#   (E2c).
# - Con gradiente constante, el Adam correcto da pasos de tamaño $\eta$ desde el primero. No hay
#   prueba más corta de que está bien escrito (E3, E4).
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice dónde se detiene el momentum impreso con $\gamma=0{,}5$ y $\eta=0{,}01$; compruébalo.
# 2. Cambia el gradiente constante por uno que alterne de signo. ¿Cuánto acaban midiendo los pasos
#    de la suma, y cuánto los de la media?
# 3. Demuestra que con gradiente constante y $\varepsilon=0$ Adam sin corregir $m$ da en el paso $t$
#    uno de tamaño $(1-\beta_1^t)\,\eta$.
# 4. Escribe otra errata con `errata.judge`: la velocidad de Nesterov mirando el gradiente en
#    $w+\gamma v$. ¿Qué caso la delata?
#
# ## Para leer más
#
# - Polyak (1964), «Some methods of speeding up the convergence of iteration methods».
# - Sutskever y otros (2013), «On the importance of initialization and momentum in deep learning».
# - Kingma y Ba (2015), «Adam: A Method for Stochastic Optimization».
