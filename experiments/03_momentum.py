# %% [markdown]
# # 3. Momentum: tres fórmulas, y cuándo son la misma
#
# El descenso simple olvida. El momentum guarda una *velocidad*, mezcla de los gradientes pasados, y
# camina con ella: donde los gradientes se contradicen la velocidad se cancela, donde coinciden se
# acumula. Los apuntes lo escriben de tres maneras:
#
# | | velocidad | paso |
# | --- | --- | --- |
# | suma (000, 002) | $v\leftarrow\gamma v+\eta\,g(w)$ | $w\leftarrow w-v$ |
# | media móvil (001) | $v\leftarrow\beta v+(1-\beta)\,g(w)$ | $w\leftarrow w-\eta v$ |
# | Nesterov (002) | $v\leftarrow\gamma v+\eta\,g(w-\gamma v)$ | $w\leftarrow w-v$ |
#
# Los apuntes 002 imprimen $w\leftarrow\gamma w-v$ y dos sumas con exponentes cambiados; son las
# erratas E1, E2 y E2b, que se ejecutan en la [lección 10.1](10_1_momentum_y_adam.py). Aquí van las
# tres fórmulas correctas, en NumPy; `rates` trae la tasa de cada paso.
#
# **Al terminar sabrás** escribir las tres fórmulas de momentum y decir cuándo son la misma;
# convertir un `momentum` de una biblioteca a otra; explicar por qué con memoria los pasos crecen
# como la raíz del número de condición.
#
# **Hace falta** la [lección 2](02_tasa_de_aprendizaje.py).

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

import jaxopt_course as joc
from jaxopt_course.course import check, quick, show, show_table
from jaxopt_course.course.walks import follow
from jaxopt_course.report import landscape

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"


# %%
def sum_momentum(gradient, w, rates, beta):
    """La suma: la tasa entra en la velocidad."""
    v, path = np.zeros_like(w), [w]
    for eta in rates:
        v = beta * v + eta * gradient(w)
        w = w - v
        path.append(w)
    return np.array(path)


# %%
def mean_momentum(gradient, w, rates, beta):
    """La media móvil: la tasa la multiplica al salir."""
    v, path = np.zeros_like(w), [w]
    for eta in rates:
        v = beta * v + (1 - beta) * gradient(w)
        w = w - eta * v
        path.append(w)
    return np.array(path)


# %%
def look_ahead(gradient, w, rates, beta):
    """Nesterov: el gradiente de donde llevaría la velocidad; w y v, paso a paso."""
    v, path = np.zeros_like(w), [(w, np.zeros_like(w))]
    for eta in rates:
        v = beta * v + eta * gradient(w - beta * v)
        w = w - v
        path.append((w, v))
    return np.moveaxis(np.array(path), 1, 0)


# %% [markdown]
# ## Suma y media: la misma trayectoria, con otra tasa
#
# Desarrollando ambas, la velocidad es una suma de gradientes con pesos $\gamma^{t-j}$; la media la
# multiplica además por $1-\beta$. Con tasa constante basta compensarlo:
#
# $$\text{suma con }\eta\;=\;\text{media con }\frac{\eta}{1-\beta}$$
#
# En la biblioteca son `joc.momentum` y `joc.ema_momentum`. Se comparan sobre una superficie no
# cuadrática, en float64, junto con Nesterov (por qué se toma $w-\gamma v$ se explica al final).


# %%
def gradient(w):
    """El de Σ a (w - c)² / 2 + w⁴ / 80, con a = 1, 10 y c = 3, -1."""
    return np.array([1.0, 10.0]) * (w - np.array([3.0, -1.0])) + w**3 / 20


start, beta, eta, steps = np.array([-2.0, 2.0]), 0.9, 0.02, 100
constant = np.full(steps, eta)
suma = sum_momentum(gradient, start, constant, beta)
media = mean_momentum(gradient, start, constant / (1 - beta), beta)
w, v = look_ahead(gradient, start, constant, beta)
nesterov = w - beta * v


def gap(a, b):
    return np.max(abs(a - b))


def library(tx):
    """El camino de un optimizador de la biblioteca, en float64."""
    return follow(tx, lambda w, t: gradient(w), start, steps)


assert gap(suma, library(joc.momentum(eta, beta))) < 1e-12
assert gap(media, library(joc.ema_momentum(eta / (1 - beta), beta))) < 1e-12
assert gap(nesterov, library(joc.nesterov(eta, beta))) < 1e-12

same_rate = mean_momentum(gradient, start, constant, beta)
print(f"suma con η contra media con η / (1 - β): {gap(suma, media):.0e}")
print(f"suma con η contra media con η: {gap(suma, same_rate):.2f}")
assert gap(suma, media) < 1e-12 < 0.1 < gap(suma, same_rate)

# %% [markdown]
# ## Suma no es media: la velocidad terminal
#
# La diferencia se ve con un gradiente constante $g=1$: la media tiende a $1$, la suma a
# $1/(1-\gamma)$. `SGD(learning_rate=0.01, momentum=0.9)`, en Keras y en PyTorch, suma: con el mismo
# $\beta$ y la misma tasa escrita da pasos $1/(1-\beta)$ veces mayores que la media. Los apuntes las
# confunden: erratas E2c, en la [lección 10.1](10_1_momentum_y_adam.py), y E20, en la
# [10.2](10_2_formulas_y_bibliotecas.py).
#
# A la derecha, otra diferencia: qué pasa cuando la tasa *cambia*. Se divide entre diez en el paso
# 40, con el gradiente todavía constante. La suma de los apuntes (y de Keras) guarda la tasa dentro
# de la velocidad, que sigue cargada con la vieja; si la tasa multiplica al salir (PyTorch, optax, y
# esta biblioteca si no se pide otra cosa), el freno es inmediato.

# %%
t = np.arange(81)
drop = np.where(t[1:] <= 40, 0.1, 0.01)
push = np.ones_like  # un gradiente de 1 en todas partes
flat = np.zeros(1)
speed = {
    "suma": -np.diff(sum_momentum(push, flat, np.ones(80), beta)[:, 0]),
    "media": -np.diff(mean_momentum(push, flat, np.ones(80), beta)[:, 0]),
}
dropped = {
    "tasa dentro": -np.diff(sum_momentum(push, flat, drop, beta)[:, 0]),
    "tasa fuera": -np.diff(mean_momentum(push, flat, drop / (1 - beta), beta)[:, 0]),
}
print(f"velocidad terminal / tasa: suma {speed['suma'][-1]:.2f}, media {speed['media'][-1]:.2f}")
assert abs(speed["suma"][-1] * (1 - beta) - 1) < 1e-3 and abs(speed["media"][-1] - 1) < 1e-3
assert dropped["tasa dentro"][40] > 5 * dropped["tasa fuera"][40]

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
for (name, values), colour in zip(speed.items(), (BLUE, ORANGE), strict=True):
    left.plot(t[1:], values, color=colour, lw=2)
    left.text(80, values[-1] - 0.2, name, color=colour, ha="right", va="top")
left.set(xlabel="paso", ylabel="paso dado / $\\eta$", ylim=(0, 10.5), title="gradiente constante")
for (name, values), colour in zip(dropped.items(), (BLUE, GREEN), strict=True):
    right.plot(t[1:], values, color=colour, lw=2, label=name)
right.set(xlabel="paso", ylabel="paso dado", title="la tasa baja a un décimo")
right.legend(frameon=False)
fig.tight_layout()
show(fig, "velocidad")

# %% [markdown]
# ## Fricción y aceleración
#
# Los apuntes 000 lo dicen con palabras de mecánica: el gradiente «se usa para la aceleración, no
# para la velocidad», y $\mu$ (aquí $\gamma$) mide la fricción, 0 mucha y 1 ninguna. Es literal.
# Restando $v$ a ambos lados de la suma,
#
# $$v_{t+1}-v_t=\underbrace{\eta\,g(w_t)}_{\text{fuerza}}
#   -\underbrace{(1-\gamma)\,v_t}_{\text{rozamiento}}$$
#
# A la izquierda, una cuesta recta. Con $\gamma=0$ la velocidad *es* el gradiente desde el primer
# paso; con rozamiento crece hasta que este iguala a la fuerza, $\eta/(1-\gamma)$, como la de un
# cuerpo que cae en el aire; sin rozamiento crece sin fin. A la derecha, una parábola: con mucho
# rozamiento la bola se arrastra hasta el fondo, con poco lo pasa y vuelve, y sin ninguno oscila
# para siempre, porque nada le quita energía.

# %%
frictions = {0.0: (GREEN, "-"), 0.5: (ORANGE, "--"), 0.9: (BLUE, "-."), 1.0: (RED, ":")}
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
for gamma, (colour, dash) in frictions.items():
    label = f"$\\gamma$ = {gamma:g}".replace(".", ",")
    look = {"color": colour, "ls": dash, "lw": 2, "label": label}
    fall = -np.diff(sum_momentum(push, flat, np.ones(40), gamma)[:, 0])
    swing = sum_momentum(lambda w: w, np.ones(1), np.full(120, 0.05), gamma)[:, 0]
    left.plot(range(1, 41), fall, **look)
    right.plot(swing, **look)
    t40 = np.arange(1, 41)  # la suma geométrica, y sin rozamiento, t
    assert np.allclose(fall, t40 if gamma == 1 else (1 - gamma**t40) / (1 - gamma), rtol=1e-12)
left.set(xlabel="paso", ylabel="velocidad / $\\eta$", ylim=(0, 15), title="Una cuesta recta")
right.set(xlabel="paso", ylabel="$w$", title="Una parábola, $\\eta$ = 0,05")
right.axhline(0, color="0.6", lw=0.8)
left.legend(frameon=False)
show(fig, "friccion")

# sin rozamiento se conserva v² + η w² + η v w, la energía de este péndulo de pasos
speed_of = -np.diff(swing)
energy = speed_of**2 + 0.05 * swing[1:] ** 2 + 0.05 * speed_of * swing[1:]
print(f"con γ = 1 la energía varía en {np.ptp(energy) / energy[0]:.0e} de su valor en 120 pasos")
assert np.ptp(energy) < 1e-12 and abs(swing[-60:]).max() > 0.95

# %% [markdown]
# ## Con un horario se separan
#
# Por eso la igualdad de arriba vale solo con tasa constante. Con una decadencia progresiva (lección
# 2), la suma de los apuntes coincide con `like="keras"` (`like` elige la regla de una biblioteca),
# la media reescalada coincide con la suma *de PyTorch*, y entre ellas ya hay distancia. Lo mismo le
# ocurre a Nesterov.

# %%
rates = eta / (1 + 0.1 * np.arange(steps))
inside = sum_momentum(gradient, start, rates, beta)
outside = mean_momentum(gradient, start, rates / (1 - beta), beta)
w_s, v_s = look_ahead(gradient, start, rates, beta)
theta_s = w_s - beta * v_s

decay = joc.inverse_time_decay(eta, 0.1)
decayed = {
    (name, like): library(getattr(joc, name)(decay, beta, like=like))
    for name in ("momentum", "nesterov") for like in ("keras", "torch")
}  # fmt: skip
table = pd.DataFrame(
    {like: {"suma de los apuntes": gap(inside, decayed["momentum", like]),
            "media reescalada": gap(outside, decayed["momentum", like]),
            "Nesterov de los apuntes": gap(theta_s, decayed["nesterov", like])}
     for like in ("keras", "torch")}
)  # fmt: skip
print("mayor distancia, con tasa decreciente:")
show_table(table.set_axis(["Keras", "PyTorch"], axis=1), 1)
assert table["keras"].iloc[0] < 1e-12 < 0.05 < table["torch"].iloc[0]
assert table["torch"].iloc[1] < 1e-12 < 0.05 < table["keras"].iloc[1]
assert table["keras"].iloc[2] < 1e-12 < 0.05 < table["torch"].iloc[2]

# %% [markdown]
# ## Entradas de escalas distintas
#
# Aquí el momentum se gana el sueldo. Si una entrada se mide en unidades mayores que otra, la
# pérdida es un tazón alargado: muy curvo en una dirección ($L$), casi llano en la otra ($\mu$). La
# tasa la limita $L$, el avance lo marca $\mu$, y el número de condición $\kappa=L/\mu$ dice cuántos
# pasos hacen falta: del orden de $\kappa$ sin memoria, del orden de $\sqrt\kappa$ con ella.
#
# Se mide con dos medidas reales de unos pacientes de `diabetes`, la segunda multiplicada por una
# escala, y un objetivo que depende exactamente de ambas. Para cada escala se barren tasas y
# memorias. La escala cambia los datos, así que es un argumento de la tarea y va en `static`; lo
# demás son filas de una tabla, donde en Keras o PyTorch habría tres bucles anidados.

# %%
measures = load_diabetes().data[:64, [2, 8]]  # masa corporal, ln de triglicéridos
bmi, ltg = ((measures - measures.mean(0)) / measures.std(0)).T
target = 2 * bmi + ltg


def inputs_of(scale):
    return np.column_stack([bmi, scale * ltg])


def error(params, data):
    return jnp.mean((data["x"] @ params["w"] - data["t"]) ** 2)


def scaled(scale):
    data = {"x": inputs_of(scale), "t": target}
    return joc.Task(
        name="scaled",
        init=lambda key: ({"w": jnp.zeros(2)}, {}),
        loss=lambda params, state, batch, key: (error(params, batch), (state, {})),
        evaluate=lambda params, state, data: {"loss": error(params, data)},
        train=data, valid=data, test=data,
        metrics={"loss": "min"},
    )  # fmt: skip


def curvatures(scale):
    """mu y L, del error cuadrático medio."""
    return np.linalg.eigvalsh(2 * inputs_of(scale).T @ inputs_of(scale) / len(bmi))


# %%
scales, budget = ([1, 4, 10] if quick() else [1, 2, 4, 8, 16]), (600 if quick() else 1500)
memories = (
    [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9] if quick() else [0.0, *(1 - np.geomspace(0.95, 0.05, 14))]
)
shares = np.linspace(0.2, 0.98, 14)  # de la mayor tasa estable, 2 (1 + beta) / L
trials = pd.concat([
    joc.grid(scale=scale, momentum=memory,
             learning_rate=np.float32(shares * 2 * (1 + memory) / curvatures(scale)[1]))
    for scale in scales for memory in memories
])  # fmt: skip
study = joc.sweep(
    scaled, trials, "momentum", steps=budget, batch_size=len(bmi), static=["scale"],
    evaluate_every=2, progress=False,
)  # fmt: skip

# %%
goal = 1e-6 * np.mean(target**2)  # una millonésima de la pérdida al empezar
losses = study.curves["valid_loss"].transpose("trial", "eval_step").values
there = losses <= goal
needed = np.where(there.any(axis=1), study.curves["eval_step"].values[there.argmax(axis=1)], np.inf)
runs = study.trials.assign(needed=needed)
rows = []
for scale in scales:
    mu, L = curvatures(scale)
    mine = runs[runs["scale"] == scale]
    simple = mine[mine["momentum"] == 0]["needed"].min()
    winner = mine.loc[mine["needed"].idxmin()]
    rows.append((scale, L / mu, simple, winner["needed"], winner["momentum"]))
columns = ["escala", "κ", "pasos sin memoria", "pasos con memoria", "mejor β"]
race = pd.DataFrame(rows, columns=columns)
print(f"{len(trials)} entrenamientos")
show_table(race, 4, index=False)

# %% [markdown]
# Con escalas iguales la memoria apenas hace falta. Cuanto más alargado el tazón, más separa a las
# dos curvas, y las pendientes son las de la teoría. El mejor $\beta$ también depende del problema:
# el habitual $\beta=0{,}9$ es una costumbre, no un óptimo.
#
# Y una comparación que los apuntes no hacen: *estandarizar* las entradas (la fila de escala uno) le
# sirve más al descenso simple que el mejor momentum a las entradas sin estandarizar.

# %%
kappa = race["κ"].to_numpy()
slopes = {
    name: np.polyfit(np.log(kappa), np.log(race[name].astype(float)), 1)[0]
    for name in ("pasos sin memoria", "pasos con memoria")
}
fig, ax = plt.subplots(figsize=(7, 4.2))
for (name, slope), colour, mark in zip(slopes.items(), (RED, BLUE), "os", strict=True):
    label = f"{name}: $\\kappa^{{{slope:.2f}}}$"
    ax.loglog(kappa, race[name], mark + "-", color=colour, lw=2, label=label)
ax.legend(frameon=False)
ax.set(xlabel="número de condición $\\kappa$", ylabel="pasos hasta una millonésima de la pérdida")
show(fig, "condicion")

assert np.all(np.diff(race["pasos sin memoria"] / race["pasos con memoria"]) > 0)
assert 0.8 < slopes["pasos sin memoria"] < 1.2 and 0.3 < slopes["pasos con memoria"] < 0.75
assert np.all(race["pasos sin memoria"][0] < race["pasos con memoria"][race["escala"] >= 4])
assert np.all(np.diff(race["mejor β"]) > 0) and race["mejor β"].max() < 0.9

# %% [markdown]
# Los caminos, en el tazón de escala diez. El descenso simple, casi en su tasa máxima, rebota entre
# las paredes y apenas avanza por el fondo; con memoria, los rebotes se cancelan y el avance se
# acumula. Nesterov rebota menos que la suma, porque mira antes de llegar: con esta tasa, $1/L$, ni
# siquiera rebota.
#
# Es el dibujo de los apuntes 001: del punto inicial A se pasa a B y de B a C; hacia la derecha se
# avanza, y hacia arriba y hacia abajo se oscila. Hablan allí de un óptimo *local*, el más bajo de
# su vecindario, y de uno *global*, el más bajo de todos. En un tazón son el mismo; donde no lo son,
# en la [lección 6](06_carrera.py), la memoria puede llevar de uno a otro, o no.
#
# **Con las manos:** <a href="manos_superficie.html">hasta cuatro optimizadores en un tazón</a>, con
# la fórmula de cada paso.

# %%
scale = 10
mu, L = curvatures(scale)
quadratic = 2 * inputs_of(scale).T @ inputs_of(scale) / len(bmi)
optimum = np.array([2.0, 1 / scale])
start_2d, moves = np.array([-1.0, 0.6]), 40


def slope(w):
    return quadratic @ (w - optimum)


# %%
root = (np.sqrt(L) - np.sqrt(mu)) / (np.sqrt(L) + np.sqrt(mu))
paths = {
    "sin memoria": sum_momentum(slope, start_2d, np.full(moves, 1.9 / L), 0.0),
    "suma": sum_momentum(slope, start_2d, np.full(moves, 1 / L), root),
    "Nesterov": look_ahead(slope, start_2d, np.full(moves, 1 / L), root)[0],
}

# %%
a, b = np.linspace(-1.3, 2.8, 150), np.linspace(-0.2, 0.9, 150)
off = np.stack(np.meshgrid(a, b), axis=-1) - optimum
bowl = 0.5 * np.einsum("...i,ij,...j", off, quadratic, off)
fig, ax = plt.subplots(figsize=(7, 4.4))
landscape.contours(ax, a, b, bowl, lowest=0, minima=[tuple(optimum)])
landscape.paths(ax, paths, marks=moves)
for letter, way, point in zip("ABC", (-10, -10, 9), paths["sin memoria"], strict=False):
    ax.annotate(letter, point, (way, -3), textcoords="offset points", ha="center", weight="bold")
ax.set(xlabel="peso de la entrada 1", ylabel=f"peso de la entrada 2 (escala {scale})")
ax.set(title=f"{moves} pasos desde el mismo inicio")
ax.legend()
show(fig, "tazon")

left_over = {name: np.linalg.norm(path[-1] - optimum) for name, path in paths.items()}
walked = {name: np.linalg.norm(np.diff(path, axis=0), axis=1).sum() for name, path in paths.items()}
for name in paths:
    print(f"{name}: camina {walked[name]:.2f} y queda a {left_over[name]:.2f} del óptimo")
assert max(left_over["suma"], left_over["Nesterov"]) < 0.5 * left_over["sin memoria"]
assert walked["Nesterov"] < 0.75 * walked["suma"]

# %% [markdown]
# ## Nesterov, y por qué las bibliotecas lo escriben de otra forma
#
# La fórmula de los apuntes pide el gradiente en $w-\gamma v$, un punto donde los parámetros *no
# están*. Las bibliotecas guardan ese punto, $\theta=w-\gamma v$. Con $v'=\gamma v+\eta g(\theta)$:
#
# $$\begin{aligned}\theta'&=w'-\gamma v'=\theta+\gamma v-v'-\gamma v'\\
#   &=\theta-\big(\gamma v'+\eta\,g(\theta)\big)\end{aligned}$$
#
# Solo aparece el gradiente en $\theta$, que es lo que una biblioteca tiene. Es lo que hacen
# `joc.nesterov`, Keras y PyTorch, y la igualdad se verificó arriba para $\theta$. Para $w$ no vale:
# quien compare los pesos de los apuntes con los de Keras verá números distintos, y ambos estarán
# bien.


# %%
def reformulated(gradient, theta, rates, beta):
    """Nesterov como lo escriben las bibliotecas: todos los gradientes son en theta."""
    v, path = np.zeros_like(theta), [theta]
    for eta in rates:
        slope = gradient(theta)
        v = beta * v + eta * slope
        theta = theta - (beta * v + eta * slope)
        path.append(theta)
    return np.array(path)


ours = reformulated(gradient, start, constant, beta)
theirs = library(joc.nesterov(eta, beta))
print(f"θ = w - γv: {gap(nesterov, theirs):.0e}; w: {gap(w, theirs):.2f}")
assert gap(ours, theirs) < 1e-12 and gap(nesterov, theirs) < 1e-12 < 0.05 < gap(w, theirs)

# %% [markdown]
# ¿Qué se gana? En una dirección de curvatura $\lambda$, mientras oscila, la suma encoge siempre
# igual, por $\sqrt\beta$ a cada paso. Nesterov encoge por $\sqrt{\beta(1-\eta\lambda)}$: más cuanto
# más curva es la dirección, que es donde se oscila. Ambos son el módulo de los valores propios de
# la matriz que lleva $(w, v)$ de un paso al siguiente:

# %%
for product in (0.1, 0.5, 0.9):  # eta por lambda
    heavy = np.array([[1 - product, -beta], [product, beta]])  # (w, v) -> (w - v', v')
    ahead = np.array([[1 - product, -beta * (1 - product)], [product, beta * (1 - product)]])
    shrinks = [np.abs(np.linalg.eigvals(matrix)) for matrix in (heavy, ahead)]
    print(
        f"ηλ = {product}: la suma encoge por {shrinks[0][0]:.3f}, Nesterov por {shrinks[1][0]:.3f}"
    )
    np.testing.assert_allclose(shrinks[0], np.sqrt(beta), rtol=1e-12)
    np.testing.assert_allclose(shrinks[1], np.sqrt(beta * (1 - product)), rtol=1e-12)

# %% [markdown]
# ¿Qué se pierde? Estabilidad:
#
# $$\eta L<2\ \text{(sin memoria)},\qquad \eta L<2(1+\beta)\ \text{(suma)},\qquad
#   \eta L<\frac{2(1+\beta)}{1+2\beta}\ \text{(Nesterov)}$$
#
# Los tres límites salen de un barrido de los tres optimizadores sobre una parábola, en un programa.
# Qué mirar, además: con *una* sola curvatura la memoria estorba, y el descenso simple gana en casi
# todo su intervalo. La ventaja de la memoria nace de tener que servir a dos curvaturas con una sola
# tasa.

# %%
parabola = joc.Task(
    name="parabola",
    init=lambda key: ({"w": jnp.ones(())}, {}),
    loss=lambda params, state, batch, key: (params["w"] ** 2 / 2, (state, {})),
    evaluate=lambda params, state, data: {"loss": params["w"] ** 2 / 2},
    train=np.zeros(1), valid=np.zeros(1), test=np.zeros(1),
    metrics={"loss": "min"},
)  # fmt: skip
cells, steps = (200 if quick() else 800), 100
rates = 4 * np.arange(1, cells + 1) / cells
names = {"sgd": "sin memoria", "momentum": "suma", "nesterov": "Nesterov"}
trials = joc.grid(optimizer=list(names), learning_rate=rates)
study = joc.sweep(
    parabola, trials, steps=steps, batch_size=1, evaluate_every=steps // 2, progress=False
)
halves = study.curves["train_loss"].values.reshape(3, cells, 2)
limits = {"sgd": 2, "momentum": 2 * (1 + beta), "nesterov": 2 * (1 + beta) / (1 + 2 * beta)}

# %%
fig, ax = plt.subplots(figsize=(7, 4.2))
for (name, label), (early, late), colour in zip(
    names.items(), np.moveaxis(halves, 2, 1), (RED, BLUE, GREEN), strict=True
):
    stable = late < early
    edge = rates[stable].max()
    print(f"{label}: estable hasta {edge:.3f}, teoría {limits[name]:.3f}")
    assert np.all(stable == (rates <= edge))
    assert abs(edge - limits[name]) <= rates[0] * (1 + 1e-9)
    ax.semilogy(rates[stable], np.maximum(late[stable], 1e-20), color=colour, lw=2, label=label)
    ax.axvline(limits[name], color=colour, ls=":", lw=1.2)
ax.set(xlabel="$\\eta L$", ylabel=f"pérdida media, pasos {steps // 2} a {steps}", ylim=(1e-12, 10))
ax.set(title=f"Memoria $\\beta$ = {beta}; de puntos, los límites teóricos")
ax.legend(frameon=False, loc=(0.62, 0.1))
show(fig, "limites")

late = dict(zip(names, halves[:, :, 1], strict=True))
both, own = (rates > 0.1) & (rates < 1.3), rates < limits["sgd"]
wins = np.mean((late["sgd"] <= late["momentum"])[own])
print(f"el descenso simple le gana a la suma en el {100 * wins:.0f} % de su intervalo")
assert wins > 0.9 and np.all((late["nesterov"] < late["momentum"])[both])

# %% [markdown]
# ## En resumen
#
# - Suma y media son la misma trayectoria si la tasa es constante y se reescala por $1-\beta$; con
#   un horario se separan, porque la tasa está dentro de una y fuera de la otra.
# - El mismo `momentum` da en Keras y PyTorch pasos $1/(1-\beta)$ veces los de la media móvil.
# - La memoria cambia $\kappa$ por $\sqrt\kappa$; estandarizar las entradas baja la propia $\kappa$.
# - Nesterov frena mejor y tolera tasas menores; en las bibliotecas se ve $\theta=w-\gamma v$.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice el paso terminal de la suma con $\beta=0{,}99$ y un gradiente constante de 1.
#    Compruébalo.
# 2. Repite la figura de los caminos con $\beta=0{,}99$ (allí, `root`). ¿Quién rebota más?
# 3. Demuestra que sin rozamiento ($\gamma=1$), en una parábola de curvatura 1, no cambia
#    $v^2+\eta w^2+\eta vw$.
# 4. Demuestra que la suma con tasa $\eta$ y la media con tasa $\eta/(1-\beta)$ dan los mismos pasos
#    si la tasa es constante.
#
# Y una función por corregir: el corrector dice en qué paso se equivoca y a qué error se parece.
# Cámbiala y vuelve a ejecutar la celda; las demás están en la [lección 14](14_tu_turno.py).


# %%
def mi_momentum(g, state, w, t, *, learning_rate, momentum):
    m = momentum * state["m"] + (1 - momentum) * g  # ¿suma o media?
    return w - learning_rate * m, {"m": m}


_ = check("momentum", mi_momentum)

# %% [markdown]
# ## Para leer más
#
# - Polyak (1964), «Some methods of speeding up the convergence of iteration methods».
# - Nesterov (1983), «A method for solving the convex programming problem with convergence rate
#   $O(1/k^2)$».
# - Goh (2017), «Why Momentum Really Works».
