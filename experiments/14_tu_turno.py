# %% [markdown]
# # 14. Tu turno: diez optimizadores por escribir
#
# Un optimizador se entiende cuando se ha escrito. En esta lección los escribes tú: una función pura
# por optimizador, que da un paso de una hoja de los parámetros (un arreglo: una matriz de pesos, un
# vector de sesgos). `exercise` da el enunciado; `check` ejecuta tu función al lado de la biblioteca
# y, donde se separan, dice en qué paso, en qué hoja y a qué error clásico se parece. No compara
# texto: compara trayectorias con las que producen los errores conocidos.

# %%
import matplotlib.pyplot as plt
import numpy as np

from jaxopt_course.course import check, exercise, show

BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## El enunciado
#
# El estado es un diccionario: la función recibe las memorias de antes y devuelve las de después. Se
# llaman como en el enunciado, y vale también la letra que tienen en su lección (`v` la velocidad,
# `S` y `X`, `u`). Los hiperparámetros llegan por su nombre, con valores que no son los habituales
# ni los mismos en todas las hojas: así se nota si la fórmula lleva dentro un 0,9 o un 0,999 escrito
# a mano.

# %%
exercise("adam")


# %% [markdown]
# Adam es
#
# $$m_t=\beta_1 m_{t-1}+(1-\beta_1)\,g_t \qquad v_t=\beta_2 v_{t-1}+(1-\beta_2)\,g_t^2$$
# $$w_t=w_{t-1}-\eta\,\frac{m_t/(1-\beta_1^t)}{\sqrt{v_t/(1-\beta_2^t)}+\varepsilon}$$
#
# y en NumPy ocupa cinco líneas. La función lleva además tres interruptores, para estropearla a
# propósito más abajo.


# %%
def adam(g, state, w, t, *, learning_rate, b1, b2, eps, unbiased=True, outside=True, ahead=0):
    """Adam como en el artículo, y como se escribe mal a menudo."""
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g**2
    n = t + ahead
    m_hat, v_hat = (m / (1 - b1**n), v / (1 - b2**n)) if unbiased else (m, v)
    size = np.sqrt(v_hat) + eps if outside else np.sqrt(v_hat + eps)
    return w - learning_rate * m_hat / size, {"m": m, "v": v}


verdict = check("adam", adam)
assert verdict.passed

# %% [markdown]
# ## Tres errores, y cómo se notan
#
# Los tres corren sin quejarse, y los tres entrenan: por eso son difíciles de ver en una curva de
# pérdida. `check` los nombra.


# %%
def spoiled(**switches):
    """Adam con un error."""
    return lambda g, state, w, t, **numbers: adam(g, state, w, t, **numbers, **switches)


slips = {
    "sin corrección de sesgo": (spoiled(unbiased=False), "uncorrected", BLUE),
    "exponente t + 1": (spoiled(ahead=1), "exponent_ahead", ORANGE),
    "ε dentro de la raíz": (spoiled(outside=False), "eps_inside", RED),
}
for update, name, _ in slips.values():
    verdict = check("adam", update)
    print()
    assert verdict.mistakes == (name,) and verdict.step == 1

# %% [markdown]
# Cada error tiene su momento. Con un gradiente constante el Adam correcto da siempre el mismo paso,
# $\eta$; la figura muestra el paso de los otros, en unidades de $\eta$. Los errores de la
# corrección se apagan solos: a partir de cierto paso $1-\beta^t$ vale uno y ya no se distingue
# nada. El de $\varepsilon$ no se apaga: depende del tamaño del gradiente, y con gradientes pequeños
# frena para siempre.

# %%
numbers = {"learning_rate": 1.0, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
steps = 5000


def sizes(update, gradient):
    """El paso en cada t, con un gradiente constante."""
    w, state, found = np.zeros(1), {"m": np.zeros(1), "v": np.zeros(1)}, []
    for t in range(1, steps + 1):
        old = w
        w, state = update(np.full(1, gradient), state, w, t, **numbers)
        found.append((old - w)[0])
    return np.array(found)


small = 1e-4
right = sizes(adam, small)
assert np.allclose(right, small / (small + numbers["eps"]), rtol=1e-9)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(np.arange(1, steps + 1), right, color=GREEN, label="Adam")
taken = {}
for words, (update, _, colour) in slips.items():
    taken[words] = sizes(update, small)
    ax.plot(np.arange(1, steps + 1), taken[words], color=colour, label=words)
ax.set(xscale="log", ylim=0, xlabel="paso t", ylabel="tamaño del paso / η")
ax.set_title("Gradiente constante y pequeño")
ax.legend(frameon=False)
show(fig, "pasos")

first = {words: step[0] / right[0] for words, step in taken.items()}
last = {words: step[-1] / right[-1] for words, step in taken.items()}
for words in taken:
    print(
        f"{words}: {first[words]:.2f} veces el paso correcto al empezar, {last[words]:.2f} al final"
    )
assert abs(last["sin corrección de sesgo"] - 1) < 0.01 < abs(first["sin corrección de sesgo"] - 1)
assert abs(last["exponente t + 1"] - 1) < 0.01 < abs(first["exponente t + 1"] - 1)
assert last["ε dentro de la raíz"] < 0.9

# %% [markdown]
# Sin la corrección los primeros pasos salen *mayores* que los correctos, no menores: a $m$ le falta
# un factor $1-\beta_1$, pero a $\sqrt v$ le falta otro más pequeño, $\sqrt{1-\beta_2}$, y está en
# el denominador.
#
# ## Cuando no se puede ni ejecutar
#
# También se dice con palabras lo que no llega a ser un número equivocado.


# %%
def unfinished(g, state, w, t, *, learning_rate, decay, eps):
    v = decay * state["v"] + (1 - decay) * g**2
    w = w - learning_rate * g / np.sqrt(v + eps)


def renamed(g, state, w, t, *, learning_rate, decay, eps):
    s = decay * state["s"] + (1 - decay) * g**2
    return w - learning_rate * g / np.sqrt(s + eps), {"s": s}


for update in (unfinished, renamed):
    assert not check("rmsprop", update)
    print()

# %% [markdown]
# ## Los diez
#
# Cada enunciado lleva debajo su esqueleto: cambia los puntos suspensivos y ejecuta la celda (el
# nombre de la función da igual). Sin tocarlos, el esqueleto deja los parámetros donde estaban, y el
# corrector lo dice. Vale NumPy y vale JAX. Cada uno cambia poco respecto al anterior. Las
# soluciones están, aparte, en la [lección 15.1](15_1_soluciones.py); antes de mirarlas, pregúntale
# al corrector.

# %% [markdown]
# ### SGD
#
# El más corto: sin memoria. Falta una línea.

# %%
exercise("sgd")


# %%
def mi_sgd(g, state, w, t, *, learning_rate):
    ...
    return w, state


_ = check("sgd", mi_sgd)

# %% [markdown]
# ### Momentum, la suma
#
# La memoria `m` es la velocidad, y la tasa multiplica al salir (lección 3).

# %%
exercise("momentum")


# %%
def mi_momentum(g, state, w, t, *, learning_rate, momentum):
    ...
    return w, state


_ = check("momentum", mi_momentum)

# %% [markdown]
# ### Momentum, la media
#
# Como el anterior, con una media en lugar de una suma.

# %%
exercise("ema_momentum")


# %%
def mi_ema_momentum(g, state, w, t, *, learning_rate, decay):
    ...
    return w, state


_ = check("ema_momentum", mi_ema_momentum)

# %% [markdown]
# ### Nesterov
#
# Igual que la suma en la memoria; el paso mira una vez más hacia delante, $g+\mu m$.

# %%
exercise("nesterov")


# %%
def mi_nesterov(g, state, w, t, *, learning_rate, momentum):
    ...
    return w, state


_ = check("nesterov", mi_nesterov)

# %% [markdown]
# ### Adagrad
#
# La suma empieza aquí en 0,1, como en Keras; en los apuntes y en la lección 4, en cero.

# %%
exercise("adagrad")


# %%
def mi_adagrad(g, state, w, t, *, learning_rate, eps):
    ...
    return w, state


_ = check("adagrad", mi_adagrad)

# %% [markdown]
# ### RMSProp
#
# La suma se vuelve una media, y $\varepsilon$ sigue dentro de la raíz.

# %%
exercise("rmsprop")


# %%
def mi_rmsprop(g, state, w, t, *, learning_rate, decay, eps):
    ...
    return w, state


_ = check("rmsprop", mi_rmsprop)

# %% [markdown]
# ### Adadelta
#
# Dos memorias, y un orden que importa: el paso usa la `x` de *antes*.

# %%
exercise("adadelta")


# %%
def mi_adadelta(g, state, w, t, *, learning_rate, rho, eps):
    ...
    return w, state


_ = check("adadelta", mi_adadelta)

# %% [markdown]
# ### Adam
#
# Sin mirar arriba. Las dos correcciones llevan $t$, que empieza en uno.

# %%
exercise("adam")


# %%
def mi_adam(g, state, w, t, *, learning_rate, b1, b2, eps):
    ...
    return w, state


_ = check("adam", mi_adam)

# %% [markdown]
# ### AdamW
#
# Adam, y el peso encogido aparte.

# %%
exercise("adamw")


# %%
def mi_adamw(g, state, w, t, *, learning_rate, weight_decay, b1, b2, eps):
    ...
    return w, state


_ = check("adamw", mi_adamw)

# %% [markdown]
# ### Adamax
#
# El mayor en lugar de la media; solo $m$ se corrige.

# %%
exercise("adamax")


# %%
def mi_adamax(g, state, w, t, *, learning_rate, b1, b2, eps):
    ...
    return w, state


_ = check("adamax", mi_adamax)
