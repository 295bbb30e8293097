# %% [markdown]
# # 13.1. Ventajas y desventajas: la velocidad y la escala
#
# Los apuntes reparten elogios y advertencias: «acelera la convergencia», «sensible a la escala de
# los datos», «reduce las oscilaciones». Las seis partes de la lección 13 las recogen todas, con el
# apartado donde se hacen, y hacen un experimento para cada una. Un experimento se traduce en
# preguntas de sí o no, y el veredicto sale de ellas: **se cumple** si todas dicen sí, **no se
# cumple** si todas dicen no, y **depende** si no se ponen de acuerdo o si los datos no alcanzan
# para decidir. Los números del cuadro los escribe el programa.
#
# Cada afirmación tiene un solo veredicto. Cuando la miden varias lecciones, cuentan las preguntas
# de todas, y el cuadro de cada una dice qué salió en las otras. El cuadro entero está en la
# [parte 13.7](13_7_todas_las_afirmaciones.py).
#
# Esta primera parte se ocupa de lo que se puede ver sin ruido, en un tazón de dos parámetros.
#
# **Al terminar sabrás** traducir una afirmación en preguntas de sí o no; decir cuándo momentum
# llega antes que SGD y cuándo no; por qué girar un tazón les quita la ventaja a los que dividen
# por el tamaño del gradiente.
#
# **Hace falta** las lecciones [3](03_momentum.py) y [4](04_adagrad_rmsprop_adadelta.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, spanish
from jaxopt_course.course.figures import proper
from jaxopt_course.course.verdicts import show_claims

COLOURS = {"sgd": "#0072B2", "momentum": "#E69F00", "rmsprop": "#CC79A7", "adam": "#009E73",
           "adamax": "#D55E00", "adagrad": "#56B4E9"}  # fmt: skip

# %% [markdown]
# ## El laboratorio: una tabla de tazones, un programa
#
# $$ f(w)=\tfrac12\sum_i a_i\,(R_\varphi w)_i^2,\qquad w\in\mathbb R^2, $$
#
# es un tazón de curvaturas $a=(1,1/\kappa)$, girado un ángulo $\varphi$. El número de condición
# $\kappa$ es la diferencia de escala de los datos. Las columnas de la tabla son el tazón, el
# optimizador (`joc.switch`: la elección es un dato), sus tasas y el punto de partida, a distancia
# uno del fondo; las filas se entrenan a la vez.
#
# Con un solo punto de partida habría tasas con suerte, que caen de un salto en el fondo. Por eso se
# parte de varias direcciones al azar y de cada tasa se mira la **mediana**.

# %%
STEPS, SEED = 600, 0
MEMBERS = ["momentum", "rmsprop", "adam", "adamax", "adagrad"]
RATES = np.geomspace(1e-3, 10, 15 if quick() else 29)
angles = np.random.default_rng(SEED).uniform(0, 2 * np.pi, 6 if quick() else 24)
BETAS, RHOS = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999], [0.1, 0.5, 0.9, 0.99, 0.999]
TURN = 0.6


# %%
def bowls(question, name, kappa, turn=0.0, rate=RATES, **numbers):
    """Filas de la tabla: cada combinación, desde cada salida."""
    usual = {"beta": 0.0 if name == "sgd" else 0.9, "rho": 0.9 if name == "rmsprop" else 0.999}
    columns = usual | {"kappa": kappa, "turn": turn, "rate": rate} | numbers | {"angle": angles}
    return joc.grid(question=question, name=name, **columns)


table = pd.concat(
    [
        *(bowls("tazón", name, [1.0, 10.0, 100.0]) for name in COLOURS),
        *(bowls("girado", name, 100.0, TURN) for name in COLOURS),
        bowls("beta", "momentum", 100.0, beta=BETAS),
        bowls("rho", "rmsprop", 100.0, TURN, rho=RHOS),
    ],
    ignore_index=True,
)


def descend(row):
    """El camino de una fila."""
    rate, beta, rho = row["rate"], row["beta"], row["rho"]
    members = [
        joc.momentum(rate, beta),  # con β = 0 es SGD
        joc.rmsprop(rate, rho),
        joc.adam(rate, beta, rho),
        joc.adamax(rate, beta, rho),
        joc.adagrad(rate, 0.0),
    ]
    tx = joc.switch(row["member"], members)
    cos, sin = jnp.cos(row["turn"]), jnp.sin(row["turn"])
    turn = jnp.array([[cos, sin], [-sin, cos]])
    hessian = turn.T @ (jnp.array([1.0, 1 / row["kappa"]])[:, None] * turn)

    def step(carry, _):
        w, state = carry
        u, state = tx.update(hessian @ w, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), w

    start = jnp.array([jnp.cos(row["angle"]), jnp.sin(row["angle"])])
    return jax.lax.scan(step, (start, tx.init(start)), length=STEPS)[1]


columns = {
    key: jnp.asarray(table[key], jnp.float32) for key in table if key not in ("question", "name")
}
columns["member"] = jnp.asarray(
    table["name"].map(lambda name: max(0, MEMBERS.index(name) if name != "sgd" else 0))
)
paths = np.asarray(jax.jit(jax.vmap(descend))(columns))
print(spanish(f"{len(table):,} caminos de {STEPS} pasos en un programa"))

# %% [markdown]
# De cada camino se cuenta cuánto tarda en llegar a un centésimo de la distancia inicial **y no
# volver a salir**. La mejor tasa de cada optimizador se busca en la tabla; que no esté en el borde
# de lo probado se comprueba.


# %%
def arrival(share=0.01):
    """Pasos hasta que la distancia queda bajo una parte de la primera, que es 1; si no, inf."""
    far = ~(np.abs(paths).max(-1) <= 1e3)  # también NaN
    far |= np.hypot(*np.where(far, 1.0, np.moveaxis(paths, -1, 0))) > share
    left = far[:, ::-1].argmax(1)  # pasos desde la última vez que estuvo fuera
    return np.where(far.any(1), np.where(left > 0, STEPS - left + 1.0, np.inf), 1.0)


table["pasos"] = arrival()


def tuned(rows):
    """Los pasos desde cada salida con la tasa de menor mediana, y esa tasa."""
    by_rate = rows.groupby("rate")["pasos"].median()
    rate = by_rate.idxmin()
    return rows.loc[rows["rate"].eq(rate)].sort_values("angle"), rate


def of(question, **where):
    """Las filas de una pregunta."""
    chosen = table[table["question"].eq(question)]
    for key, value in where.items():
        chosen = chosen[chosen[key].eq(value)]
    return chosen


CASES = {
    "1": ("tazón", 1.0),
    "10": ("tazón", 10.0),
    "100": ("tazón", 100.0),
    "girado": ("girado", 100.0),
}
best = {
    (name, case): tuned(of(question, name=name, kappa=kappa))
    for name in COLOURS
    for case, (question, kappa) in CASES.items()
}
speed = pd.DataFrame(
    {case: {name: best[name, case][0]["pasos"].median() for name in COLOURS} for case in CASES}
)
show_table(speed.rename_axis("pasos con condición"))
at_edge = [key for key, (_, rate) in best.items() if rate in (RATES[0], RATES[-1])]
named = ", ".join(f"{proper(name)} ({case})" for name, case in at_edge)
print("mejor tasa en el borde de lo probado:", named or "ninguna")
assert all(name == "adagrad" for name, _ in at_edge)  # ninguna afirmación de abajo habla de ella


def ahead(one, other, case):
    """log(pasos del otro / pasos de este), desde cada salida."""
    steps = [np.minimum(best[name, case][0]["pasos"].to_numpy(), STEPS) for name in (one, other)]
    return np.log(steps[1] / steps[0])


gain = speed.loc["sgd"] / speed.loc["momentum"]

# %%
fig, ax = plt.subplots(figsize=(7, 4))
for name, colour in COLOURS.items():
    by_rate = of("girado", name=name).groupby("rate")["pasos"].median()
    ax.plot(by_rate.replace(np.inf, np.nan), "o-", ms=3, color=colour, label=name)
ax.set(
    xscale="log", yscale="log", xlabel="tasa de aprendizaje", ylabel="pasos hasta llegar (mediana)"
)
ax.set_yticks([100, 200, 300, 400], ["100", "200", "300", "400"])
ax.set_yticks([], minor=True)
ax.set_title("Tazón girado de condición 100: cada uno tiene su tasa")
ax.legend()
show(fig, "tasas", "Pasos hasta llegar según la tasa, en el tazón girado de condición 100")

# %% [markdown]
# Cada curva tiene el fondo en otro sitio, y varias se acaban donde ya no se llega. Comparar con una
# misma tasa es darle a uno la suya y a los demás una mala.

# %% [markdown]
# ## La escala
#
# En el tazón alargado la tasa de SGD la pone el eje empinado, $\eta<2/a_1$, y el otro eje avanza
# $\kappa$ veces más despacio. Momentum cambia $\kappa$ por $\sqrt\kappa$, si $\beta$ se afina. Los
# que dividen cada coordenada por el tamaño de su gradiente ni lo notan… mientras los ejes del tazón
# sean los de las coordenadas: al girarlo pierden la ventaja.

# %%
claims = [
    claim("SGD", "003:40", "sensible a la escala de los datos",
          "pasos con condición 1, 10 y 100: "
          + ", ".join(f"{speed.loc['sgd', case]:.0f}" for case in ("1", "10", "100")),
          crece=speed.loc["sgd", "100"] > 3 * speed.loc["sgd", "10"] > 9 * speed.loc["sgd", "1"]),
    claim("Momentum", "000:39", "rueda por el valle del tazón alargado y llega antes",
          f"condición 100: {speed.loc['sgd', '100']:.0f} pasos SGD, "
          f"{speed.loc['momentum', '100']:.0f} momentum",
          antes=decided(ahead("momentum", "sgd", "100"))),
    claim("Momentum", "000:40", "ayuda mucho con entradas de escalas diferentes",
          f"cociente de pasos SGD/momentum: {gain['1']:.2f}, {gain['10']:.2f} y "
          f"{gain['100']:.1f} con condición 1, 10 y 100",
          con_condición_10=decided(ahead("momentum", "sgd", "10"), np.log(1.5)),
          con_condición_100=decided(ahead("momentum", "sgd", "100"), np.log(1.5)),
          más_cuanta_más_escala=gain["100"] > gain["10"] > gain["1"]),
    claim("Momentum", "001:539", "acelera la convergencia",
          f"cociente de pasos SGD/momentum: {gain['1']:.2f} en el tazón redondo, "
          f"{gain['100']:.1f} en el alargado",
          en_el_tazón_alargado=decided(ahead("momentum", "sgd", "100")),
          en_el_tazón_redondo=decided(ahead("momentum", "sgd", "1"))),
    claim("Adamax", "000:131", "puede converger más lento que Adam",
          "pasos de Adamax y de Adam: " + ", ".join(
              f"{speed.loc['adamax', case]:.0f} y {speed.loc['adam', case]:.0f} ({case})"
              for case in CASES),
          part="en el tazón",
          **{f"tazón_{case}": decided(ahead("adam", "adamax", case)) for case in CASES}),
]  # fmt: skip

# %% [markdown]
# ## La oscilación
#
# Se cuenta qué parte de los primeros pasos deshacen el anterior a lo largo del eje empinado. La
# tasa alta es la mayor que queda por debajo del límite de SGD, $2/a_1$; la media, un décimo de
# ella.


# %%
def undone(rows, steps=slice(60)):
    """Parte de los pasos por el eje empinado que deshacen el anterior; un número por fila."""
    turn = rows["turn"].to_numpy()[:, None]
    path = paths[rows.index][:, steps]
    moves = np.diff(np.cos(turn) * path[..., 0] + np.sin(turn) * path[..., 1])
    return np.mean(moves[:, 1:] * moves[:, :-1] < 0, axis=1)


high = RATES[RATES < 1.99][-1]
medium = RATES[np.abs(np.log(RATES / (high / 10))).argmin()]
shaking = {
    (name, rate): undone(of("girado", name=name, rate=rate))
    for name in ("sgd", "momentum")
    for rate in (high, medium)
}
own = {name: undone(best[name, "girado"][0]) for name in ("sgd", "rmsprop")}
late = {rho: undone(of("rho", rho=rho, rate=medium), slice(-60, None)) for rho in RHOS}
shares = {key: value.mean() for key, value in shaking.items()}
deshechos = pd.Series({key: 100 * x for key, x in shares.items()}).unstack()
deshechos.columns = [f"% con tasa {rate:.2g}".replace(".", ",") for rate in deshechos]
show_table(deshechos.rename_axis("pasos que deshacen el anterior"), 2)

claims += [
    claim("Momentum", "000:23", "más estable y rápido si la superficie hace oscilar",
          f"tazón girado: {speed.loc['sgd', 'girado']:.0f} pasos SGD, "
          f"{speed.loc['momentum', 'girado']:.0f} momentum; deshacen el anterior, a tasa alta, "
          f"{shares['sgd', high]:.0%} y {shares['momentum', high]:.0%}",
          más_rápido=decided(ahead("momentum", "sgd", "girado")),
          más_estable=decided(shaking["sgd", high] - shaking["momentum", high])),
    claim("Momentum", "001:540", "reduce las oscilaciones, sobre todo con tasa alta",
          f"pasos que deshacen el anterior: con tasa {high:.2g}, SGD {shares['sgd', high]:.0%} y "
          f"momentum {shares['momentum', high]:.0%}; con tasa {medium:.2g}, "
          f"{shares['sgd', medium]:.0%} y {shares['momentum', medium]:.0%}",
          a_tasa_alta=decided(shaking["sgd", high] - shaking["momentum", high]),
          a_tasa_media=decided(shaking["sgd", medium] - shaking["momentum", medium])),
    claim("RMSProp", "003:42", "puede oscilar si β (aquí ρ) no se elige bien",
          f"con tasa {medium:.2g}, de los últimos pasos deshacen el anterior "
          + ", ".join(f"{x.mean():.0%} (ρ = {rho})" for rho, x in late.items()),
          oscila_con_ρ_corta=decided(late[0.1], 0.5),
          sin_oscilar_con_la_habitual=decided(0.5 - late[0.9])),
    claim("RMSProp", "001:877", "oscila menos y converge más rápido que el estándar",
          f"tazón girado: {speed.loc['rmsprop', 'girado']:.0f} pasos y {own['rmsprop'].mean():.0%} "
          f"deshacen el anterior (SGD {speed.loc['sgd', 'girado']:.0f} y {own['sgd'].mean():.0%})",
          part="en el tazón", oscila_menos=decided(own["sgd"] - own["rmsprop"]),
          más_rápido=decided(ahead("rmsprop", "sgd", "girado"))),
]  # fmt: skip

# %% [markdown]
# ## La meseta, y cuánto importa β
#
# En una meseta el gradiente es casi constante y la memoria de momentum suma $1/(1-\beta)$ de ellos:
# acaba corriendo como un SGD con una tasa diez veces mayor si $\beta=0{,}9$, después de un arranque
# más lento. Quien compare a la misma tasa verá un milagro; quien pueda subir la de SGD, no.

# %%
slope = jnp.ones(120)


def walked(tx):
    """La distancia andada, paso a paso, con un gradiente constante de 1."""
    steps = jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(slope[0]), slope)[1]
    return -np.cumsum(np.asarray(steps))


ETA = 0.01
flat = {
    f"sgd, η = {ETA}": walked(joc.sgd(ETA)),
    f"momentum, η = {ETA}": walked(joc.momentum(ETA, 0.9)),
    f"sgd, η = {10 * ETA}": walked(joc.sgd(10 * ETA)),
}
crossing = {name: int(np.argmax(path > 0.999) + 1) for name, path in flat.items()}
slow, heavy, fast = crossing.values()
last = [path[-1] - path[-2] for path in flat.values()]
show_table(pd.DataFrame({"pasos hasta recorrer la unidad": crossing}).rename_axis("meseta"))
assert np.isclose(last[1], last[2], rtol=1e-3) and not np.isclose(last[0], last[2], rtol=0.5)

by_beta = {b: float(tuned(of("beta", beta=b))[0]["pasos"].median()) for b in BETAS}
by_rho = {r: float(tuned(of("rho", rho=r))[0]["pasos"].median()) for r in RHOS}
best_beta = min(by_beta, key=by_beta.get)
for name, steps in (("β de momentum", by_beta), ("ρ de RMSProp", by_rho)):
    show_table(pd.DataFrame({"pasos": steps}).rename_axis(name))

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
for (name, path), style in zip(flat.items(), ("-", "-", "--"), strict=True):
    left.plot(path[:40], style, color=COLOURS[name.split(",")[0]], label=name)
left.set(xlabel="paso", ylabel="distancia recorrida", title="Una meseta, gradiente 1")
left.legend()
right.plot(range(len(BETAS)), list(by_beta.values()), "o-", color=COLOURS["momentum"])
right.set_xticks(range(len(BETAS)), [f"{beta:g}" for beta in BETAS])
right.set(xlabel="β de momentum", ylabel="pasos hasta llegar", title="Condición 100, mejor tasa")
right.set(ylim=0)
show(fig, "meseta_y_beta", "Una meseta con dos tasas, y los pasos hasta llegar según β")

reach = lambda steps: f"{steps:.0f}" if np.isfinite(steps) else "no llega"
claims += [
    claim("Momentum", "000:38", "sale de las mesetas mucho más rápido",
          f"pasos hasta recorrer la unidad: SGD {slow} y momentum {heavy} a la misma tasa; SGD "
          f"{fast} a una tasa diez veces mayor",
          a_la_misma_tasa=heavy < slow / 3, frente_a_un_SGD_con_más_tasa=heavy < fast),
    claim("Momentum", "001:544", "β es crucial: alto se salta el mínimo, bajo apenas hace efecto",
          f"mejor β = {best_beta} ({reach(by_beta[best_beta])} pasos); β = 0: "
          f"{reach(by_beta[0.0])}; β = 0.5: {reach(by_beta[0.5])}; β = 0.999: "
          f"{reach(by_beta[0.999])}",
          β_es_crucial=by_beta[0.0] > 1.5 * by_beta[best_beta],
          β_alto_estorba=by_beta[0.999] > 2 * by_beta[best_beta],
          β_bajo_apenas_ayuda=by_beta[0.5] > 2 * by_beta[best_beta]),
]  # fmt: skip

# %% [markdown]
# En la meseta, momentum acaba tan deprisa como SGD con una tasa diez veces mayor, y tarda más en
# arrancar. En el tazón hay un β mejor que los demás: con cero no hay memoria, y con 0,999 la bola
# va y viene sin pararse.
#
# ## El cuadro
#
# «Depende» no es una evasiva: entre paréntesis dice qué pregunta sale que no.

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - La tasa de SGD la pone el eje empinado; el otro avanza $\kappa$ veces más despacio.
# - Momentum ayuda si el tazón es alargado. En el redondo, con $\beta$ fijo, estorba.
# - RMSProp y Adam no notan la escala de cada eje, pero sí que los ejes estén girados.
# - «Más rápido» no dice nada si no se dice que cada uno lleva su mejor tasa.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice cuántas veces más pasos dará SGD si la condición pasa de 100 a 400, y cuántas momentum.
# 2. Cambia `TURN` por cero y por $\pi/4$. ¿Quién gana y quién pierde con el giro?
# 3. Afina también β en el tazón de condición 10. ¿Cambia el veredicto de «ayuda mucho con entradas
#    de escalas diferentes»?
# 4. Demuestra que en una meseta de gradiente 1 momentum recorre en $t$ pasos
#    $\frac{\eta}{1-\beta}\left(t-\beta\,\frac{1-\beta^t}{1-\beta}\right)$.
#
# ## Para leer más
#
# - Polyak (1964), «Some methods of speeding up the convergence of iteration methods».
# - Duchi, Hazan y Singer (2011), «Adaptive Subgradient Methods for Online Learning and Stochastic
#   Optimization».
# - Goh (2017), «Why Momentum Really Works».
