# %% [markdown]
# # 13. Ventajas y desventajas, medidas
#
# Los apuntes reparten elogios y advertencias: «converge rápido», «sensible a los hiperparámetros»,
# «ayuda a escapar de mínimos locales». Aquí están todas esas afirmaciones, con el archivo y la
# línea donde se hacen, y un experimento para cada una. Cada experimento se traduce en una o varias
# pruebas de sí o no, y el veredicto sale de ellas: **se cumple** si todas dicen sí, **no se
# cumple** si todas dicen no, **depende** si no se ponen de acuerdo. Los números del cuadro los
# escribe el programa.
#
# Un mismo experimento responde a muchas afirmaciones: hay un laboratorio de superficies de dos
# parámetros, un barrido de una red con etiquetas ruidosas y algunas cuentas.

# %%
import re
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import jaxopt_course as joc
from jaxopt_course.course import quick, show

joc.use_cpu_cores()
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#777777",
)  # fmt: skip
claims = []


def tidy(numbers):
    """A dictionary's numbers, to three digits, for printing."""
    return {key: float(f"{value:.3g}") for key, value in numbers.items()}


def judge(optimizer, where, claim, figure, **tests):
    """One claim: its verdict is what its tests agree on, or that they do not."""
    yes = [bool(test) for test in tests.values()]
    verdict = "se cumple" if all(yes) else "depende" if any(yes) else "no se cumple"
    against = [name.replace("_", " ") for name, test in tests.items() if not test]
    figure = re.sub(r"(?<=\d),(?=\d{3})", "\N{NARROW NO-BREAK SPACE}", figure)  # as Spanish writes
    figure = re.sub(r"(?<=\d)\.(?=\d)", ",", figure)
    reason = f"{figure}" + (f" (falla: {', '.join(against)})" if against else "")
    row = {"optimizador": optimizer, "dónde": where, "afirmación": claim}
    claims.append(row | {"veredicto": verdict, "lo medido": reason})


# %% [markdown]
# ## El laboratorio: una tabla de superficies, un programa
#
# Todas las superficies son casos de una, con $w\in\mathbb R^2$:
#
# $$ f(w)=\tfrac12\sum_i a_i (R_\varphi w)_i^2+A\sum_i(1-\cos 2w_i), $$
#
# un tazón de curvaturas $a$, girado un ángulo $\varphi$, con ondulaciones de altura $A$, que son
# los mínimos locales. Al gradiente se le puede sumar ruido —normal o de cola pesada— y multiplicar
# por un factor que se enciende y se apaga cada diez pasos. Superficie, optimizador (`joc.switch`:
# la elección es un dato), tasas y punto de partida son columnas; las filas se entrenan a la vez.

# %%
MEMBERS = ["momentum", "rmsprop", "adam", "adamax", "adagrad", "adadelta"]
DEFAULTS = {
    "a": (1.0, 1.0), "ripple": 0.0, "noise": 0.0, "tail": 0.0, "pulse": 1.0, "seed": 0,
    "start": (1.0, -0.6), "turn": 0.0, "name": "sgd", "rate": 0.1, "b1": 0.9, "b2": 0.999,
}  # fmt: skip
LAB_STEPS = 600
lab_rows = []


def add(question, **columns):
    """Put the product of the columns' lists into the lab's table."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in columns.items()}
    for values in np.ndindex(*map(len, lists.values())):
        row = {key: lists[key][i] for key, i in zip(lists, values, strict=True)}
        row = DEFAULTS | {"question": question} | row
        if row["name"] == "sgd":
            row["b1"] = 0.0
        if row["name"] == "rmsprop" and "b2" not in columns:
            row["b2"] = 0.9
        lab_rows.append(row)


def surface(row, w):
    cos, sin = jnp.cos(row["turn"]), jnp.sin(row["turn"])
    turned = jnp.stack([cos * w[0] + sin * w[1], cos * w[1] - sin * w[0]])
    return 0.5 * jnp.sum(row["a"] * turned**2) + row["ripple"] * jnp.sum(1 - jnp.cos(2 * w))


def optimizer_of(row):
    rate, b1, b2 = row["rate"], row["b1"], row["b2"]
    members = [
        joc.momentum(rate, b1),  # β = 0 is SGD
        joc.rmsprop(rate, b2),
        joc.adam(rate, b1, b2),
        joc.adamax(rate, b1, b2),
        joc.adagrad(rate, 0.0),
        joc.adadelta(rate),
    ]
    return joc.switch(row["member"], members)


def walk(row, normal, uniform):
    """The path of one row, and its values; the draws of all seeds and steps are tables."""
    tx = optimizer_of(row)

    def step(carry, t):
        w, state = carry
        noise = row["noise"] * normal[row["seed"], t] / uniform[row["seed"], t] ** row["tail"]
        g = jax.grad(surface, argnums=1)(row, w)
        g = g * jnp.where((t // 10) % 2 == 1, row["pulse"], 1.0) + noise
        u, state = tx.update(g, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), (w, surface(row, w))

    start = (row["start"], tx.init(row["start"]))
    return jax.lax.scan(step, start, jnp.arange(LAB_STEPS))[1]


rates = [float(r) for r in np.geomspace(1e-3, 3, 9 if quick() else 18)]
RACERS = ["sgd", "momentum", "rmsprop", "adam", "adamax", "adagrad"]
for kappa in (1, 10, 100):
    add(f"tazón {kappa}", name=RACERS, rate=rates, a=[(1.0, 1.0 / kappa)])
add("tazón girado", name=RACERS, rate=rates, a=[(1.0, 0.01)], turn=0.6)
betas = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
add("beta", name="momentum", rate=rates, b1=betas, a=[(1.0, 0.01)])
add("rho", name="rmsprop", rate=rates, b2=[0.1, 0.5, 0.9, 0.99, 0.999], a=[(1.0, 0.01)])
add("meseta", name=["sgd", "momentum"], rate=[0.1, 1.0], a=[(0.03, 0.03)])
starts = np.random.default_rng(0).uniform(-9, 9, (50 if quick() else 500, 2))
starts = [tuple(map(float, pair)) for pair in starts]
hill = {"a": [(0.1, 0.1)], "ripple": 1.0, "start": starts}
hill_rates = [0.003, 0.03, 0.06, 0.1, 0.15, 0.3, 0.45]  # SGD is stable below 2 / max f'' = 0.49
for noise in (0.0, 4.0):
    add("escape", name=["sgd"], rate=hill_rates, noise=noise, **hill)
add("escape", name=["momentum", "rmsprop", "adam"], rate=hill_rates, **hill)
storms = list(range(6 if quick() else 24))
for tail in (0.0, 0.9):
    racers = ["sgd", "adam", "adamax"]
    add("tormenta", name=racers, rate=rates, noise=1.0, tail=tail, seed=storms)
add("pulso", name=["sgd", "momentum", "rmsprop", "adam"], rate=rates, pulse=30.0, a=[(1.0, 0.1)])

lab = pd.DataFrame(lab_rows)
hilly = lab["question"].eq("escape")
lab.loc[hilly, "seed"] = np.arange(hilly.sum()) % 1000  # neighbours do not share their noise
columns = {k: jnp.asarray(np.array(lab[k].tolist(), np.float32)) for k in DEFAULTS if k != "name"}
columns["seed"] = columns["seed"].astype(jnp.int32)
member = lab["name"].map({"sgd": 0} | {name: i for i, name in enumerate(MEMBERS)})
columns["member"] = jnp.asarray(member.to_numpy(np.int32))
begin = time.perf_counter()
draws = np.random.default_rng(1)
normal = draws.normal(size=(1000, LAB_STEPS, 2)).astype(np.float32)
uniform = draws.uniform(1e-6, 1, size=(1000, LAB_STEPS, 2)).astype(np.float32)
walks = jax.jit(jax.vmap(walk, (0, None, None)))
paths, values = map(np.asarray, walks(columns, normal, uniform))
values = np.where(np.isfinite(values), values, np.inf)
paths = np.clip(paths, -1e9, 1e9)  # who exploded is far, and nothing overflows; NaN stays
seconds = time.perf_counter() - begin
print(f"{len(lab):,} caminos de {LAB_STEPS} pasos en {seconds:.1f} s, con su compilación")

# %% [markdown]
# ### Tazones: velocidad, oscilación y escala
#
# De cada optimizador se mira su mejor tasa, la que antes llega a un centésimo de la distancia
# inicial y no vuelve a salir. La escala de los datos es la condición $\kappa=a_1/a_2$.


# %%
def select(question, **where):
    mask = lab["question"].eq(question)
    for key, value in where.items():
        mask &= lab[key].eq(value)
    return np.flatnonzero(mask)


def arrival(rows, share=1e-4):
    """Steps until |w|² stays below a share of its first value; inf if it does not."""
    squares = np.nan_to_num(np.sum(paths[rows] ** 2, axis=-1), nan=np.inf)
    first = np.array([np.sum(np.square(start)) for start in lab["start"].iloc[rows]])
    below = squares <= share * first[:, None]
    stays = below[:, ::-1].cumprod(1)[:, ::-1].astype(bool)
    return np.where(stays[:, -1], stays.argmax(1) + 1.0, np.inf)


speed = pd.DataFrame(
    {
        k: {n: arrival(select(f"tazón {k}", name=n)).min() for n in RACERS}
        for k in (1, 10, 100, "girado")
    }
)
good_rates = pd.Series(
    {n: np.isfinite(arrival(select("tazón 10", name=n), 0.05)).mean() for n in RACERS}
)
print("pasos hasta llegar, según la condición:", speed.to_string(), sep="\n")


def turns(rows, steps=slice(60)):
    """Share of the first sixty steps along the steep axis that undo the one before."""
    moves = np.diff(paths[rows, steps, 0])
    return np.mean(moves[:, 1:] * moves[:, :-1] < 0, axis=1)


same_rate = [i for i, r in enumerate(rates) if 0.5 < r < 2.0][-1]
high = {n: turns(select("tazón 100", name=n))[same_rate] for n in ("sgd", "momentum")}
own = {  # each at the rate that brings it there first
    n: turns(select("tazón girado", name=n))[arrival(select("tazón girado", name=n)).argmin()]
    for n in ("sgd", "rmsprop")
}
ease = {n: turns(select("tazón 100", name=n))[len(rates) // 2] for n in ("sgd", "momentum")}
by_beta = {b: arrival(select("beta", b1=b)).min() for b in betas}
by_rho = {r: arrival(select("rho", b2=r)).min() for r in (0.1, 0.5, 0.9, 0.99, 0.999)}
shake = {r: turns(select("rho", b2=r), slice(-60, None))[len(rates) // 2] for r in by_rho}
print("pasos según β de momentum:", tidy(by_beta))
print("pasos según ρ de RMSProp:", tidy(by_rho))

plateau = {
    (n, r): arrival(select("meseta", name=n, rate=r), 0.1)[0]
    for n in ("sgd", "momentum")
    for r in (0.1, 1.0)
}
gain = speed.loc["sgd"] / speed.loc["momentum"]

judge("SGD", "003:40", "sensible a la escala de los datos",
      f"{speed.loc['sgd', 1]:.0f}, {speed.loc['sgd', 10]:.0f} y {speed.loc['sgd', 100]:.0f} pasos "
      "con condición 1, 10 y 100",
      escala=speed.loc["sgd", 100] > 20 * speed.loc["sgd", 1])  # fmt: skip
judge("Momentum", "000:39", "rueda por el valle del tazón alargado y llega antes",
      f"condición 100: {speed.loc['sgd', 100]:.0f} pasos SGD, {speed.loc['momentum', 100]:.0f} "
      "momentum",
      alargado=gain[100] > 1.5)  # fmt: skip
judge("Momentum", "000:40", "ayuda mucho con entradas de escalas diferentes",
      f"SGD/momentum en pasos: {gain[1]:.2f}, {gain[10]:.2f} y {gain[100]:.1f} con condición "
      "1, 10 y 100",
      mucho=gain[100] > 1.5, más_cuanta_más_escala=gain[100] > gain[10] > gain[1])  # fmt: skip
judge("Momentum", "000:23", "más estable y rápido si la superficie hace oscilar",
      f"tazón girado de condición 100: {speed.loc['sgd', 'girado']:.0f} pasos SGD, "
      f"{speed.loc['momentum', 'girado']:.0f} momentum; pasos que deshacen el anterior a tasa alta "
      f"{high['sgd']:.2f} y {high['momentum']:.2f}",
      más_rápido=speed.loc["momentum", "girado"] < speed.loc["sgd", "girado"],
      más_estable=high["momentum"] < high["sgd"])  # fmt: skip
judge("Momentum", "001:539", "acelera la convergencia",
      f"SGD/momentum en pasos: {gain[1]:.2f} en el tazón redondo, {gain[100]:.1f} en el alargado",
      tazón_alargado=gain[100] > 1.5, tazón_redondo=gain[1] > 1)  # fmt: skip
judge("Momentum", "000:38", "sale de las mesetas mucho más rápido",
      f"pasos hasta el 10 %: SGD {plateau['sgd', 0.1]:.0f} y momentum "
      f"{plateau['momentum', 0.1]:.0f} a la misma tasa; SGD {plateau['sgd', 1.0]:.0f} a una tasa "
      "diez veces mayor",
      misma_tasa=plateau["momentum", 0.1] < plateau["sgd", 0.1] / 3,
      misma_velocidad_terminal=plateau["momentum", 0.1] < plateau["sgd", 1.0])  # fmt: skip
judge("Momentum", "001:540", "reduce las oscilaciones, sobre todo con tasa alta",
      f"pasos que deshacen el anterior en el eje empinado: tasa alta, "
      f"SGD {high['sgd']:.2f} y momentum "
      f"{high['momentum']:.2f}; tasa media, {ease['sgd']:.2f} y {ease['momentum']:.2f}",
      tasa_alta=high["momentum"] < high["sgd"],
      tasa_media=ease["momentum"] <= ease["sgd"])  # fmt: skip
finite_beta = min(by_beta, key=by_beta.get)
judge("Momentum", "001:544", "β es crucial: alto se salta el mínimo, bajo apenas hace efecto",
      f"mejor β = {finite_beta} ({by_beta[finite_beta]:.0f} pasos); β = 0: {by_beta[0.0]:.0f}; "
      f"β = 0.999: {by_beta[0.999]:.0f}".replace("inf", "no llega"),
      alto=by_beta[0.999] > 3 * by_beta[finite_beta],
      bajo=by_beta[0.0] > 1.5 * by_beta[finite_beta])  # fmt: skip
# %% [markdown]
# ### Gradientes que cambian de escala
#
# El gradiente se multiplica por un factor que va y viene. RMSProp divide por su tamaño reciente,
# así que apenas lo nota: dos gradientes que sólo difieren en la escala dan **el mismo** camino,
# salvo por ε. Y como cada paso está acotado por $\eta/\sqrt{1-\rho}$, no puede explotar; otra cosa
# es que llegue.

# %%
pulse = {n: arrival(select("pulso", name=n), 0.05) for n in ("sgd", "momentum", "rmsprop", "adam")}
stable = {n: np.isfinite(values[select("pulso", name=n)][:, -1]).mean() for n in pulse}
print("pasos con el factor:", tidy({n: x.min() for n, x in pulse.items()}))
print("tasas que llegan:", tidy({n: np.isfinite(x).mean() for n, x in pulse.items()}))
print("tasas que no explotan:", tidy(stable))

with jax.enable_x64(True):
    gradient = jnp.asarray(np.random.default_rng(1).normal(size=(100, 3)))
    scales = jnp.asarray([1.0, 1e-3, 1e3])

    def drift(tx):
        """How far 100 steps lead along each coordinate, whose gradients differ in scale."""
        moves = lambda g: jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(g[0]), g)[1]
        same = gradient[:, :1] * scales[None]
        return np.abs(np.asarray(moves(same).sum(0)))

    drifts = {"sgd": drift(joc.sgd(0.01)), "rmsprop": drift(joc.rmsprop(0.01, eps=1e-16)),
              "adam": drift(joc.adam(0.01, eps=1e-16))}  # fmt: skip
spread = {name: x.max() / x.min() for name, x in drifts.items()}
assert spread["sgd"] > 1e5 and spread["adam"] < 1.001

judge("RMSprop", "001:876", "apto para gradientes que cambian rápidamente",
      f"con gradientes ×30 a ratos, tasas que llegan: {np.isfinite(pulse['rmsprop']).mean():.0%} "
      f"RMSprop, {np.isfinite(pulse['sgd']).mean():.0%} SGD",
      más_tasas=np.isfinite(pulse["rmsprop"]).mean() > np.isfinite(pulse["sgd"]).mean(),
      antes=pulse["rmsprop"].min() < pulse["sgd"].min())  # fmt: skip
judge("RMSprop", "000:65-68", "paso menor si el gradiente es grande; evita que explote",
      f"escalas de gradiente ×10⁶: el avance por coordenada difiere ×{spread['rmsprop']:.3f} (SGD "
      f"×{spread['sgd']:.0e}); tasas sin explotar {stable['rmsprop']:.0%} "
      f"(SGD {stable['sgd']:.0%})",
      iguala=spread["rmsprop"] < 1.1, no_explota=stable["rmsprop"] > stable["sgd"])  # fmt: skip
judge("RMSprop", "003:42", "control adaptativo del paso",
      f"avance por coordenada ×{spread['rmsprop']:.3f} entre escalas que difieren ×10⁶",
      iguala=spread["rmsprop"] < 1.1)  # fmt: skip
judge("Adam", "004:102", "adapta la tasa de cada parámetro",
      f"avance por coordenada ×{spread['adam']:.4f} entre escalas que difieren ×10⁶",
      iguala=spread["adam"] < 1.1)  # fmt: skip
judge("Adam", "001:691", "se adapta por parámetro y eso da estabilidad",
      f"tasas que no explotan con gradientes ×30 a ratos: Adam {stable['adam']:.0%}, SGD "
      f"{stable['sgd']:.0%}; tasas que además llegan: {np.isfinite(pulse['adam']).mean():.0%} y "
      f"{np.isfinite(pulse['sgd']).mean():.0%}",
      no_explota=stable["adam"] > stable["sgd"],
      llega=np.isfinite(pulse["adam"]).mean() > np.isfinite(pulse["sgd"]).mean())  # fmt: skip

# %% [markdown]
# ### Mínimos locales
#
# Cada coordenada empieza en un punto al azar de un paisaje con cinco pozos y se cuenta cuántas
# se quedan en el fondo del pozo central, el mínimo global. El ruido no se apaga, así que también se
# mira si el que escapa se queda. Un punto de comparación honesto: un SGD **sin ruido** con tasa
# grande también salta pozos.


# %%
def central(rows, step):
    """Share of the coordinates that stay at the global minimum for fifty steps, by rate."""
    end = LAB_STEPS if step == -1 else step
    inside = np.abs(paths[rows, end - 50 : end]).mean(1) < np.pi / 4
    return pd.Series(inside.mean(1)).groupby(lab["rate"][rows].to_numpy()).mean()


def wells(name, noise=0.0, step=-1):
    return central(select("escape", name=name, noise=noise), step)


start_share = np.mean(np.abs(starts) < np.pi / 2)
escapes = pd.DataFrame(
    {"sgd": wells("sgd"), "sgd con ruido": wells("sgd", 4.0), "momentum": wells("momentum"),
     "rmsprop": wells("rmsprop"), "adam": wells("adam")}
)  # fmt: skip
print(f"al empezar hay {start_share:.0%} en el pozo central; al acabar, por tasa:")
print(escapes.round(2).to_string())
low, most = escapes.iloc[0], escapes.max()
later = wells("rmsprop", step=-1) - wells("rmsprop", step=LAB_STEPS // 6)

fig, ax = plt.subplots(figsize=(7, 4))
for (name, line), colour in zip(escapes.items(), [BLUE, GREY, ORANGE, PURPLE, GREEN], strict=True):
    ax.plot(100 * line, "o--" if name == "adam" else "o-", color=colour, label=name)
ax.axhline(100 * start_share, color="k", ls=":", label="al empezar")
ax.set(xscale="log", xlabel="tasa de aprendizaje", ylabel="se quedan en el mínimo global (%)")
ax.set_title("¿Quién escapa de los mínimos locales?", fontsize=11)
ax.legend(fontsize=8)
show(fig, "minimos_locales")

noisy_gain = escapes["sgd con ruido"] - escapes["sgd"]
judge("SGD", "000:15, 004:43", "el ruido ayuda a escapar de mínimos locales",
      f"acaban en el pozo central, con y sin ruido, según la tasa: de {noisy_gain.min():+.0%} a "
      f"{noisy_gain.max():+.0%} de diferencia",
      alguna_tasa=noisy_gain.max() > 0.05, toda_tasa=noisy_gain.min() > 0.05)  # fmt: skip
judge("SGD", "001:122", "mal afinado no converge, o se queda en un mínimo local",
      f"en el pozo central con tasa baja {low['sgd']:.0%} (al empezar {start_share:.0%}); "
      "tasas que "
      f"llegan en el tazón: {good_rates['sgd']:.0%}",
      atrapado=low["sgd"] < start_share + 0.05, no_toda_tasa=good_rates["sgd"] < 0.9)  # fmt: skip
more = escapes["momentum"] - escapes["sgd"]
judge("Momentum", "001:538, 000:41", "ayuda a superar mínimos locales",
      f"diferencia con SGD a la misma tasa: de {more.min():+.0%} a {more.max():+.0%}; cada uno con "
      f"su mejor tasa: {most['momentum']:.0%} y {most['sgd']:.0%}",
      misma_tasa=more.max() > 0.05, mejor_tasa=most["momentum"] > most["sgd"] + 0.02)  # fmt: skip
judge("RMSprop", "001:882", "tras muchas iteraciones puede quedar atrapado en mínimos locales",
      f"en el pozo central con tasa baja {low['rmsprop']:.0%} (al empezar {start_share:.0%}); "
      f"seis veces más pasos cambian a lo sumo {later.abs().max():.0%}",
      queda_atrapado=low["rmsprop"] < start_share + 0.05,
      empeora_con_las_iteraciones=later.min() < -0.05)  # fmt: skip

# %% [markdown]
# ### Adam puede acabar en el peor sitio
#
# Reddi et al. (2018): en $[-1,1]$ el gradiente vale $C$ una de cada tres veces y $-1$ las otras
# dos. La suma empuja hacia $-1$, que es el óptimo. Adam con una memoria corta olvida el gradiente
# grande y raro y se va a $+1$. Con $\beta_2$ larga, o con AMSGrad, no ocurre.

# %%
C = 3.0


def online(tx):
    def step(carry, t):
        w, state = carry
        u, state = tx.update(jnp.where(t % 3 == 0, C, -1.0), state, w)
        w = jnp.clip(joc.apply_updates(w, u), -1.0, 1.0)
        return (w, state), w

    w = jnp.asarray(0.0)
    return jax.lax.scan(step, (w, tx.init(w)), jnp.arange(1500))[1][-30:].mean()


forgetful = 1 / (1 + C**2)
regret = jax.jit(
    lambda: {
        "adam, β₂ corta": online(joc.adam(0.01, b1=0.0, b2=forgetful)),
        "adam, β₂ = 0.999": online(joc.adam(0.01, b1=0.0)),
        "amsgrad, β₂ corta": online(joc.amsgrad(0.01, b1=0.0, b2=forgetful)),
        "sgd": online(joc.sgd(0.01)),
    }
)()
regret = {name: float(w) for name, w in regret.items()}
print(tidy(regret))
assert regret["adam, β₂ corta"] > 0.9 and max(regret["sgd"], regret["adam, β₂ = 0.999"]) < -0.9
judge("Adam", "001:697", "puede converger a soluciones subóptimas con malos hiperparámetros",
      f"ejemplo de Reddi (óptimo -1): acaba en {regret['adam, β₂ corta']:+.2f} con β₂ corta y en "
      f"{regret['adam, β₂ = 0.999']:+.2f} con la habitual",
      ocurre=regret["adam, β₂ corta"] > 0.9)  # fmt: skip

# %% [markdown]
# ### Adamax ante gradientes extremos
#
# Dos preguntas distintas: cuánto se mueve el parámetro en el momento del pico, y cuánto tarda
# después en volver a andar. Adamax guarda el máximo, que se olvida como $\beta_2^t$; Adam guarda
# un cuadrado medio, cuya raíz se olvida como $\beta_2^{t/2}$ pero partiendo de un valor más de
# treinta veces menor.

# %%
PEAK, WHEN, SPIKE_STEPS = 1e3, 200, 8000
stream = np.ones(SPIKE_STEPS, np.float32)
stream[WHEN] = PEAK


def steps_of(tx):
    return jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(jnp.asarray(0.0)), stream)[1]


spiked = jax.jit(lambda: {"adam": steps_of(joc.adam(1.0)), "adamax": steps_of(joc.adamax(1.0))})()
spiked = {name: -np.asarray(x) for name, x in spiked.items()}
jump = {name: x[WHEN] for name, x in spiked.items()}
back = {name: int(np.argmax(x[WHEN + 50 :] > 0.5) + 50) for name, x in spiked.items()}
storm = {
    (n, tail): pd.Series(values[r][:, -100:].mean(1)).groupby(lab["rate"][r].to_numpy()).median()
    for n in ("sgd", "adam", "adamax")
    for tail in (0.0, 0.9)
    for r in [select("tormenta", name=n, tail=tail)]
}
settled = {key: series.min() for key, series in storm.items()}
rate_1 = rates[len(rates) // 2]
at_same = {key: series[rate_1] for key, series in storm.items()}
print("paso en el pico (en unidades de η):", tidy(jump), "· pasos hasta recuperar la mitad:", back)
print("pérdida final, mejor tasa:", tidy(settled))

fig, ax = plt.subplots(figsize=(7, 3.8))
for name, colour in (("adam", GREEN), ("adamax", RED)):
    ax.plot(np.arange(SPIKE_STEPS) - WHEN, spiked[name], color=colour, label=name, lw=1.8)
ax.axhline(1, color=GREY, lw=0.8, ls=":")
ax.set(
    xlabel="pasos desde el pico", ylabel="paso, en unidades de η", yscale="log", xlim=(-200, 7500)
)
ax.set_title(f"Un gradiente de {PEAK:,.0f} entre gradientes de 1", fontsize=11)
ax.legend(fontsize=9)
show(fig, "pico")

assert jump["adamax"] < jump["adam"] and back["adamax"] > back["adam"]
for where in ("000:130", "000:137"):
    judge("Adamax", where, "más robusto ante gradientes grandes o ruidosos",
          f"salto en un pico: {jump['adamax']:.2f} η (Adam {jump['adam']:.2f} η), pero tarda "
          f"{back['adamax']} pasos en recuperarse (Adam {back['adam']}); con ruido de cola pesada, "
          f"pérdida {settled['adamax', 0.9]:.2g} y {settled['adam', 0.9]:.2g}",
          salto=jump["adamax"] < jump["adam"], recuperación=back["adamax"] < back["adam"],
          cola_pesada=settled["adamax", 0.9] < 0.95 * settled["adam", 0.9])  # fmt: skip

# %% [markdown]
# ## El tamaño del lote
#
# Una regresión lineal con ruido: lotes de 1, de 32 y de todos los ejemplos. Cada uno con su mejor
# tasa. Se cuentan **ejemplos mirados**, que es lo que cuesta, y la pérdida que queda al final, que
# es el ruido. Aparte se pregunta al compilador lo que cuesta una actualización de la red, en
# operaciones y memoria.

# %%
N, FEATURES = 1024, 8
draw = np.random.default_rng(3)
x_line = draw.normal(size=(N, FEATURES)).astype(np.float32)
noisy = 0.5 * draw.normal(size=N)
y_line = (x_line @ draw.normal(size=FEATURES) + noisy).astype(np.float32)
best_w = np.linalg.lstsq(x_line, y_line, rcond=None)[0].astype(np.float32)
mse = lambda w, x, y: jnp.mean((x @ w - y) ** 2)
floor = float(mse(best_w, x_line, y_line))
EPOCHS, SIZES = (3 if quick() else 12), [1, 32, N]
line_rates = np.geomspace(1e-3, 0.4, 6 if quick() else 10).astype(np.float32)


def train_line(w, rate, batches):
    """Excess loss at every look, of SGD over batches[look, update] of row numbers."""
    tx = joc.sgd(rate)

    def step(carry, rows):
        w, state = carry
        u, state = tx.update(jax.grad(mse)(w, x_line[rows], y_line[rows]), state, w)
        return (joc.apply_updates(w, u), state), None

    def look(carry, batches):
        carry, _ = jax.lax.scan(step, carry, batches)
        return carry, mse(carry[0], x_line, y_line) - floor

    return jax.lax.scan(look, (w, tx.init(w)), batches)[1]


x_line, y_line = jnp.asarray(x_line), jnp.asarray(y_line)
many = jax.jit(jax.vmap(jax.vmap(train_line, (None, None, 0)), (None, 0, None)))
excess, wander = {}, {}
for batch in SIZES:
    looks = min(8, N // batch)
    passes = EPOCHS * (8 if batch == N else 1)  # the full batch needs more of them
    shape = (3, passes * looks, N // batch // looks, batch)
    rows = draw.integers(0, N, shape) if batch < N else np.broadcast_to(np.arange(N), shape)
    rows = jnp.asarray(rows, jnp.int32)
    compiled = many.lower(jnp.zeros(FEATURES), line_rates, rows).compile()
    table = np.asarray(compiled(jnp.zeros(FEATURES), line_rates, rows))
    excess[batch] = np.where(np.isfinite(table), table, np.inf).mean(1)  # (rate, look)
    wander[batch] = np.asarray(compiled(best_w, line_rates, rows)).mean(1)  # from the minimum
first = float(mse(jnp.zeros(FEATURES), x_line, y_line)) - floor


def examples_to(batch, share):
    """Examples seen until the excess loss is below a share of the first one; by rate."""
    below = excess[batch] <= share * first
    return np.where(below.any(1), (below.argmax(1) + 1.0) * N / min(8, N // batch), np.inf)


need = {batch: examples_to(batch, 0.01).min() for batch in SIZES}
middle = int(np.argmin(np.abs(line_rates - 0.01)))
noise = {batch: abs(float(wander[batch][middle, -4:].mean())) for batch in SIZES}
high_rate = float(wander[32][np.argmin(np.abs(line_rates - 0.1)), -4:].mean())
usable = {batch: np.mean(excess[batch][:, -1] < 0.01 * first) for batch in SIZES}
each = 2 * x_line * (x_line @ jnp.zeros(FEATURES) - y_line)[:, None]
spread_of_gradient = {b: float(jnp.sqrt(each.var(0).sum() / b)) if b < N else 0.0 for b in SIZES}
print("ejemplos hasta el 1 %:", tidy(need), "· ruido final a la misma tasa:", tidy(noise))
print("tasas útiles:", tidy(usable), "· desviación del gradiente:", tidy(spread_of_gradient))

fig, ax = plt.subplots(figsize=(7, 4))
for batch, colour in zip(SIZES, [ORANGE, BLUE, GREEN], strict=True):
    line = excess[batch][np.argmin(examples_to(batch, 0.01))]
    seen = np.arange(1, len(line) + 1) * (N // min(8, N // batch))
    ax.plot(seen, line, color=colour, label=f"lote de {batch:,}", lw=1.5)
ax.set(xscale="log", yscale="log", xlabel="ejemplos mirados", ylabel="pérdida sobre la mínima")
ax.set_ylim(1e-6)
ax.set_title("El mismo trabajo, repartido en lotes distintos", fontsize=11)
ax.legend(fontsize=9)
show(fig, "lotes")

# %%
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
order = np.random.default_rng(0).permutation(len(labels))
x_train, x_valid, x_test = np.split(images[order], [600, 900])
y_train, y_valid, y_test = np.split(labels[order], [600, 900])
wrong = np.random.default_rng(0).random(len(y_train)) < 0.15
y_noisy = np.where(wrong, np.random.default_rng(1).integers(0, 10, len(y_train)), y_train)
LAYERS, WIDTH = 4, 24


def start_network(key):
    """He's weights for ReLU; the hidden layers after the first are one array."""
    keys = jax.random.split(key, 3)
    draw = lambda key, *shape: jax.random.normal(key, shape) * np.sqrt(2 / shape[-2])
    return {
        "first": draw(keys[0], 64, WIDTH),
        "hidden": draw(keys[1], LAYERS - 1, WIDTH, WIDTH),
        "biases": jnp.zeros((LAYERS, WIDTH)),
        "last": draw(keys[2], WIDTH, 10),
    }, {}


def logits(params, x):
    h = jax.nn.relu(x @ params["first"] + params["biases"][:1])
    for W, b in zip(params["hidden"], params["biases"][1:], strict=True):
        h = jax.nn.relu(h @ W + b[None])
    return h @ params["last"]


def error_of(outputs, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1))


def cross_entropy(params, data):
    return error_of(logits(params, data["x"]), data["y"])


def measure(params, state, data):
    outputs = logits(params, data["x"])
    hits = jnp.argmax(outputs, axis=1) == data["y"]
    squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
    return {
        "accuracy": jnp.mean(hits),
        "loss": error_of(outputs, data["y"]),
        "norm": jnp.sqrt(squares),
    }


task = joc.Task(
    "dígitos ruidosos",
    init=start_network,
    loss=lambda params, state, batch, key: (cross_entropy(params, batch), (state, {})),
    evaluate=measure,
    train={"x": x_train, "y": y_noisy},
    valid={"x": x_valid, "y": y_valid},
    test={"x": x_test, "y": y_test},
    metrics={"accuracy": "max", "loss": "min", "norm": "min"},
)
shapes = jax.eval_shape(start_network, jax.random.key(0))[0]
params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1), shapes)
weights = sum(leaf.size for leaf in jax.tree.leaves(params))


def cost_of(batch):
    """One gradient of the network: operations and scratch bytes, as compiled; seconds."""
    data = jax.tree.map(lambda x: jnp.asarray(x[:batch]), task.train)
    compiled = jax.jit(jax.grad(cross_entropy)).lower(params, data).compile()
    laps = []
    for _ in range(20):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(params, data))
        laps.append(time.perf_counter() - begin)
    scratch = compiled.memory_analysis().temp_size_in_bytes
    return compiled.cost_analysis()["flops"], scratch, min(laps)


cost = pd.DataFrame({batch: cost_of(batch) for batch in (1, 32, 600)}).T
cost.columns = ["operaciones", "bytes de trabajo", "segundos"]
work, scratch = cost["operaciones"], cost["bytes de trabajo"]
lap = cost["segundos"] / cost.index  # an example
print(cost.assign(microsegundos_por_ejemplo=1e6 * lap).round(6).to_string())

fewer = f"{need[1]:,.0f} ejemplos con lote 1, {need[32]:,.0f} con 32 y {need[N]:,.0f} con todos"
judge("SGD", "001:116, 000:15", "rápido: llega antes que el lote completo",
      f"hasta el 1 %: {fewer}", antes=need[1] < need[N] / 2)  # fmt: skip
judge("SGD", "001:117", "cada iteración pide menos memoria y cálculo",
      f"red de {weights:,} pesos: {work[600] / work[1]:.0f} veces menos operaciones y "
      f"{scratch[600] / max(scratch[1], 1):.0f} veces menos memoria que con 600 ejemplos",
      cálculo=work[600] > 20 * work[1], memoria=scratch[600] > 2 * scratch[1])  # fmt: skip
judge("SGD", "004:42", "actualización rápida",
      f"{work[600] / work[1]:.0f} veces menos operaciones que el lote completo",
      cálculo=work[600] > 20 * work[1])  # fmt: skip
for where in ("001:121", "004:47"):
    judge("SGD", where, "ruidoso: oscila alrededor del mínimo",
          f"pérdida sobrante a la misma tasa: {noise[1]:.1e} con lote 1, {noise[N]:.1e} con todos",
          ruido=noise[1] > 10 * max(noise[N], 1e-9))  # fmt: skip
judge("Lote completo", "001:220", "actualizaciones estables, facilita llegar al mínimo global",
      f"pérdida sobrante {noise[N]:.1e} (lote 1: {noise[1]:.1e}); pero en el paisaje con pozos, "
      "sin "
      f"ruido y con tasa baja, sólo {low['sgd']:.0%} acaba en el global",
      estable=noise[N] < noise[1], mínimo_global_si_no_es_convexo=low["sgd"] > 0.9)  # fmt: skip
judge("Lote completo", "001:221", "gradiente más preciso",
      f"desviación {spread_of_gradient[1]:.1f} con lote 1, {spread_of_gradient[32]:.2f} con 32, "
      "cero con todos", preciso=spread_of_gradient[N] == 0)  # fmt: skip
judge("Lote completo", "001:225", "cada actualización es costosa",
      f"{work[600] / work[32]:.0f} veces las operaciones de un lote de 32",
      coste=work[600] > 10 * work[32])  # fmt: skip
judge("Lote completo", "001:226", "convergencia más lenta que SGD",
      f"hasta el 1 %: {fewer}", lento=need[N] > 2 * need[1])  # fmt: skip
judge("Lote completo", "001:227", "no escala en memoria y tiempo",
      f"600 ejemplos frente a 32: {work[600] / work[32]:.0f} veces las operaciones y "
      f"{scratch[600] / max(scratch[32], 1):.0f} veces la memoria; ambas crecen con los datos",
      cálculo=work[600] > 10 * work[32], memoria=scratch[600] > 4 * scratch[32])  # fmt: skip
judge("Mini-batch", "001:371", "equilibrio entre precisión y velocidad",
      f"{fewer}; ruido {noise[32]:.1e}, entre {noise[N]:.1e} y {noise[1]:.1e}",
      más_rápido_que_todos=need[32] < need[N],
      menos_ruido_que_uno=noise[32] < noise[1])  # fmt: skip
judge("Mini-batch", "001:372", "uso más eficiente del equipo",
      f"microsegundos por ejemplo en esta máquina: {1e6 * lap[1]:.1f} con lote 1, "
      f"{1e6 * lap[32]:.2f} con 32, {1e6 * lap[600]:.2f} con 600",
      más_rápido_por_ejemplo=lap[1] > 1.5 * lap[32])  # fmt: skip
judge("Mini-batch", "001:377", "el tamaño importa: pequeño inestable, grande como el lote completo",
      f"tasas útiles: {usable[1]:.0%} con lote 1, {usable[32]:.0%} con 32; ejemplos hasta el 1 %: "
      f"{need[32]:,.0f} con 32, {need[N]:,.0f} con todos",
      pequeño_menos_estable=usable[1] < usable[32],
      grande_más_lento=need[N] > 2 * need[32])  # fmt: skip
judge("Mini-batch", "001:378", "quedan oscilaciones, más si la tasa es alta",
      f"pérdida sobrante con lote 32: {noise[32]:.1e}, y {high_rate:.1e} con una tasa mayor",
      quedan=noise[32] > 3 * max(noise[N], 1e-9), crecen=high_rate > 1.5 * noise[32])  # fmt: skip

# %% [markdown]
# ## El barrido de la red
#
# Una red profunda (cuatro capas ocultas), seiscientos dígitos, parte de las etiquetas cambiadas al
# azar para que se pueda sobreajustar, y etiquetas limpias en validación. Todas las tasas para
# todos, y encima las constantes propias de cada uno. Con `weight_decay=0` AdamW es Adam, y con
# `momentum=0` momentum es SGD: menos ramas en el programa.

# %%
net_rates = np.geomspace(1e-4, 10, 6 if quick() else 11)
seeds = range(1 if quick() else 3)
NET_STEPS, EVERY = (72, 12) if quick() else (360, 12)


def net(**columns):
    return joc.grid(learning_rate=net_rates, seed=seeds, **columns)


decays = [0.0, 0.1, 1.0, 10.0]
trials = pd.concat(
    [
        net(optimizer="momentum", momentum=[0.0, 0.5, 0.9, 0.99]),
        net(optimizer="rmsprop", decay=[0.5, 0.9, 0.99, 0.999]),
        net(optimizer="adadelta"),
        net(optimizer="adamax"),
        net(optimizer="adamw", weight_decay=0.0, b1=[0.0, 0.9, 0.99], b2=[0.9, 0.999]),
        net(optimizer="adamw", weight_decay=decays[1:], b1=0.9, b2=0.999),
        net(optimizer="adamw", weight_decay=0.0, l2=[0.001, 0.01, 0.1], b1=0.9, b2=0.999),
    ]
)
trials["l2"] = trials["l2"].fillna(0.0)
RECIPES = {
    name: lambda h, name=name, keys=keys: joc.OPTIMIZERS[name](
        h["learning_rate"], **{key: h[key] for key in keys}
    )
    for name, keys in {
        "momentum": ["momentum"],
        "rmsprop": ["decay"],
        "adadelta": [],
        "adamax": [],
        "adamw": ["b1", "b2", "weight_decay"],
    }.items()
}
decoupled = RECIPES["adamw"]  # with the old way beside it: λ θ added to the gradient
RECIPES["adamw"] = lambda h: joc.chain(joc.add_decayed_weights(h["l2"]), decoupled(h))
for name in ("momentum", "decay", "b1", "b2", "weight_decay"):
    trials[name] = trials[name].fillna(0.9 if name != "weight_decay" else 0.0)
study = joc.sweep(
    task,
    trials,
    RECIPES,
    steps=NET_STEPS,
    batch_size=50,
    record_every=EVERY,
    evaluate_every=2 * EVERY,
    progress=False,
)
event = study.events[0]
print(f"{len(trials)} redes, {event['seconds']:.1f} s")

# %%
done = study.trials.copy()
for column in ("train_loss", "valid_loss"):
    done[column] = done[column].where(done["status"].eq("finished"), np.inf).fillna(np.inf)
done["valid_accuracy"] = (
    done["valid_accuracy"].where(done["status"].eq("finished"), 0.1).fillna(0.1)
)
NUMBERS = ["momentum", "decay", "weight_decay", "l2", "b1", "b2"]
done[NUMBERS] = done[NUMBERS].astype(float)


def part(name, **numbers):
    """The trials of an optimizer with these numbers."""
    mask = done["optimizer"].eq(name)
    numbers = {"l2": 0.0} | numbers
    for key, value in numbers.items():
        mask &= np.isclose(done[key], value)
    return done[mask]


NETS = {
    "sgd": part("momentum", momentum=0.0),
    "momentum": part("momentum", momentum=0.9),
    "rmsprop": part("rmsprop", decay=0.9),
    "adadelta": part("adadelta"),
    "adamax": part("adamax"),
    "adam": part("adamw", weight_decay=0.0, b1=0.9, b2=0.999),
}
by_rate = {name: t.groupby("learning_rate")["valid_accuracy"].mean() for name, t in NETS.items()}
loss_by_rate = {name: t.groupby("learning_rate")["train_loss"].mean() for name, t in NETS.items()}
best_rate = {name: float(s.idxmin()) for name, s in loss_by_rate.items()}
best_accuracy = {name: s.max() for name, s in by_rate.items()}
curve = study.curves["train_loss"].to_numpy()


def line_of(table, rate):
    """The training loss of one configuration, mean over its seeds."""
    return curve[table.index[np.isclose(table["learning_rate"].astype(float), rate)]].mean(0)


target = 1.02 * np.min(
    line_of(NETS["sgd"], best_rate["sgd"])
)  # what SGD reaches in the whole budget
reach = {}
for name, table in NETS.items():
    lines = np.array([line_of(table, rate) for rate in net_rates])
    below = lines <= target
    reach[name] = np.where(below.any(1), (below.argmax(1) + 1) * EVERY, np.inf).min()
decades = np.log10(net_rates[1] / net_rates[0])
width = {
    name: decades * np.sum(s > 0.1 + 0.9 * (s.max() - 0.1)) for name, s in by_rate.items()
}  # of the rates that keep nine tenths of the best result
table_of_nets = pd.DataFrame(
    {
        "mejor tasa": best_rate,
        "exactitud": best_accuracy,
        "pasos hasta la pérdida de sgd": reach,
        "décadas útiles": width,
    }
)
print(table_of_nets.round(3).to_string())

fig, ax = plt.subplots(figsize=(7, 4.2))
palette = [BLUE, ORANGE, PURPLE, GREY, RED, GREEN]
for (name, line), colour in zip(by_rate.items(), palette, strict=True):
    ax.plot(line.index.astype(float), line, "o-", ms=3, color=colour, label=name)
ax.set(xscale="log", xlabel="tasa de aprendizaje", ylabel="exactitud de validación")
ax.set_title("Cuánto importa acertar la tasa", fontsize=11)
ax.legend(fontsize=8)
show(fig, "sensibilidad")

# %% [markdown]
# ### Sensibilidad a las constantes propias
#
# Para cada valor de la constante se toma su mejor tasa; lo que queda de diferencia es de la
# constante. Y se mira otra cosa que los apuntes no dicen: cuánto se pierde si **no** se reajusta
# la tasa.


# %%
def by_number(name, key, values, **fixed):
    """The best result of each value of a number: the rate tuned, and at the rate of the usual."""
    tuned, untuned = {}, {}
    usual = part(name, **{key: values[0]}, **fixed)
    rate = usual.groupby("learning_rate")["train_loss"].mean().idxmin()
    for value in sorted(values):
        table = part(name, **{key: value}, **fixed)
        losses = table.groupby("learning_rate")["train_loss"].mean()
        tuned[value], untuned[value] = losses.min(), losses[rate]
    return pd.DataFrame({"tasa afinada": tuned, "tasa fija": untuned})


constants = {
    "β de momentum": by_number("momentum", "momentum", [0.9, 0.0, 0.5, 0.99]),
    "ρ de RMSProp": by_number("rmsprop", "decay", [0.9, 0.5, 0.99, 0.999]),
    "β₁ de Adam": by_number("adamw", "b1", [0.9, 0.0, 0.99], b2=0.999, weight_decay=0.0),
    "β₂ de Adam": by_number("adamw", "b2", [0.999, 0.9], b1=0.9, weight_decay=0.0),
}
for name, frame in constants.items():
    print(name, frame.round(3).to_string(), sep="\n")
ratio = {name: (f.max() / f.min()).to_dict() for name, f in constants.items()}
best_mu = constants["β de momentum"]["tasa afinada"]

quicker = {name: NET_STEPS / steps for name, steps in reach.items()}
others = max(quicker["sgd"], quicker["momentum"], quicker["rmsprop"])
for where, claim in (
    ("001:690", "converge más rápido que otros"),
    ("003:41", "convergencia rápida"),
    ("004:101", "convergencia rápida"),
    ("000:92", "entrenamiento más rápido y estable"),
):
    judge("Adam", where, claim,
          f"llega a la pérdida del SGD afinado ×{quicker['adam']:.1f} antes (momentum "
          f"×{quicker['momentum']:.1f}, RMSProp ×{quicker['rmsprop']:.1f})",
          más_que_SGD=quicker["adam"] > 1.2,
          más_que_momentum_y_RMSProp=quicker["adam"] > 1.05 * others)  # fmt: skip
judge("Momentum", "000:42", "0,9 funciona bien y casi siempre va más rápido",
      f"llega a la pérdida del SGD afinado ×{quicker['momentum']:.1f} antes; con β = 0.9 la mejor "
      f"pérdida es {best_mu[0.9]:.3f}, y {best_mu.min():.3f} con el mejor β ({best_mu.idxmin()})",
      más_rápido=quicker["momentum"] > 1.05,
      buen_valor=best_mu[0.9] < 1.3 * best_mu.min())  # fmt: skip
for where in ("003:40b", "004:48"):
    judge("SGD", where, "depende mucho de la tasa de aprendizaje",
          f"décadas de tasas con nueve décimos del mejor resultado: {width['sgd']:.1f} (Adam "
          f"{width['adam']:.1f}, RMSProp {width['rmsprop']:.1f})",
          estrecho=width["sgd"] < 0.5 * np.log10(net_rates[-1] / net_rates[0]),
          más_que_Adam=width["sgd"] < width["adam"])  # fmt: skip
adam_ratio = {key: max(ratio["β₁ de Adam"][key], ratio["β₂ de Adam"][key]) for key in
              ("tasa afinada", "tasa fija")}  # fmt: skip
judge("Adam", "001:696", "sensible a β₁, β₂ y η",
      f"pérdida, del peor al mejor: ×{adam_ratio['tasa fija']:.1f} en las β a tasa fija, "
      f"×{adam_ratio['tasa afinada']:.1f} afinando; {width['adam']:.1f} décadas útiles de η",
      las_β_a_tasa_fija=adam_ratio["tasa fija"] > 1.3,
      las_β_con_tasa_afinada=adam_ratio["tasa afinada"] > 1.3,
      η=width["adam"] < 0.5 * np.log10(net_rates[-1] / net_rates[0]))  # fmt: skip
rho = ratio["ρ de RMSProp"]
judge("RMSprop", "001:881", "sensible a β (ρ), aunque menos que otros",
      f"pérdida, del peor ρ al mejor: ×{rho['tasa fija']:.1f} a tasa fija, "
      f"×{rho['tasa afinada']:.1f} "
      f"afinando (las β de Adam ×{adam_ratio['tasa fija']:.1f}, la de momentum "
      f"×{ratio['β de momentum']['tasa fija']:.1f})",
      influye=rho["tasa fija"] > 1.1,
      menos_que_momentum=rho["tasa fija"] < ratio["β de momentum"]["tasa fija"])  # fmt: skip
judge("RMSprop", "003:42b", "puede oscilar si β no se elige bien",
      f"tazón, misma tasa: deshace el paso anterior el {shake[0.1]:.0%} de las veces con ρ = 0.1, "
      f"el {shake[0.9]:.0%} con 0.9 y el {shake[0.999]:.0%} con 0.999",
      depende_de_ρ=np.ptp(list(shake.values())) > 0.2)  # fmt: skip
judge("RMSprop", "001:877", "oscila menos y converge más rápido que el descenso estándar",
      f"red: llega a la pérdida del SGD afinado ×{quicker['rmsprop']:.1f} antes; tazón girado: "
      f"{speed.loc['rmsprop', 'girado']:.0f} pasos y {own['rmsprop']:.0%} deshacen el anterior "
      f"(SGD {speed.loc['sgd', 'girado']:.0f} y {own['sgd']:.0%})",
      más_rápido_en_la_red=quicker["rmsprop"] > 1.05,
      más_rápido_en_el_tazón=speed.loc["rmsprop", "girado"] < speed.loc["sgd", "girado"],
      oscila_menos_en_el_tazón=own["rmsprop"] < own["sgd"])  # fmt: skip
judge("Adamax", "000:131", "puede converger más lento que Adam",
      f"llega a la pérdida del SGD afinado en {reach['adamax']:.0f} pasos, Adam en "
      f"{reach['adam']:.0f}; en el tazón, {speed.loc['adamax', 100]:.0f} y "
      f"{speed.loc['adam', 100]:.0f}",
      red=reach["adamax"] > reach["adam"],
      tazón=speed.loc["adamax", 100] > speed.loc["adam", 100])  # fmt: skip

# %% [markdown]
# ### Adadelta: ¿sin tasa?
#
# El artículo la deja en uno; Keras, en una milésima. La misma red en tres tasas: la mejor, la del
# artículo y la de Keras.

# %%
delta = by_rate["adadelta"]
at = lambda series, rate: float(
    series.iloc[np.argmin(np.abs(np.log(series.index.astype(float) / rate)))]
)
paper, keras = at(delta, 1.0), at(delta, 1e-3)
print(f"adadelta: mejor {delta.max():.3f}, con 1: {paper:.3f}, con 0.001: {keras:.3f}")
for where, claim in (
    ("000:125", "no necesita una tasa inicial fija"),
    ("000:135", "simplifica el ajuste de la tasa"),
):
    judge("Adadelta", where, claim,
          f"exactitud {paper:.2f} con tasa 1, {keras:.2f} con el 0.001 de Keras, {delta.max():.2f} "
          f"con la mejor; {width['adadelta']:.1f} décadas útiles (Adam {width['adam']:.1f})",
          tasa_1=paper > delta.max() - 0.05, la_de_Keras=keras > delta.max() - 0.05)  # fmt: skip
near = lambda name: NETS[name][
    np.isclose(NETS[name]["learning_rate"].astype(float), best_rate[name])
]
noise_of = {name: float(np.std(near(name)["valid_accuracy"])) for name in NETS}
broken = {name: float((t["status"] != "finished").mean()) for name, t in NETS.items()}
judge("Adadelta", "000:126", "puede ser menos estable en redes profundas",
      f"cuatro capas ocultas: ensayos que divergen {broken['adadelta']:.0%} "
      f"(SGD {broken['sgd']:.0%}, "
      f"Adam {broken['adam']:.0%}); mejor exactitud {best_accuracy['adadelta']:.2f} (Adam "
      f"{best_accuracy['adam']:.2f})",
      diverge_más=broken["adadelta"] > max(broken["adam"], broken["sgd"]),
      queda_peor=best_accuracy["adadelta"] < best_accuracy["adam"] - 0.03)  # fmt: skip

# %% [markdown]
# ### Regularización y sobreajuste
#
# «Sobreajuste» aquí es la distancia entre la pérdida en validación (etiquetas limpias) y la mejor
# que esa misma configuración tuvo antes. El decaimiento de AdamW es aparte del gradiente; el de
# «Adam con L2» pasa por él y acaba dividido por $\sqrt{\hat v}$.

# %%
score = lambda table: table.groupby("learning_rate")[
    ["valid_accuracy", "norm", "valid_loss"]
].mean()
by_decay = {d: part("adamw", weight_decay=d, b1=0.9, b2=0.999) for d in decays}
coupled = {d: part("adamw", l2=d) for d in (0.001, 0.01, 0.1)}
done["norm"] = done["valid_norm"].astype(float)
by_decay = {d: done.loc[t.index] for d, t in by_decay.items()}
coupled = {d: done.loc[t.index] for d, t in coupled.items()}
decayed = {d: score(t)["valid_accuracy"].max() for d, t in by_decay.items()}
rate_0 = score(by_decay[0.0])["valid_accuracy"].idxmax()
norms = {d: float(score(t)["norm"][rate_0]) for d, t in by_decay.items()}
at_rate_0 = {d: float(score(t)["valid_accuracy"][rate_0]) for d, t in by_decay.items()}
l2 = {d: score(t)["valid_accuracy"].max() for d, t in coupled.items()}
best_decay = max(decays[1:], key=decayed.get)
print("norma de los pesos según el decaimiento:", tidy(norms))
print("mejor exactitud según el decaimiento:", tidy(decayed), "· con L2 acoplada:", tidy(l2))


def overfit(name):
    """How much the validation loss rose again, for the configuration that trained best."""
    chosen = near(name)
    return float((chosen["valid_loss"] - chosen["best_valid_loss"].astype(float)).mean())


rise = {name: overfit(name) for name in ("sgd", "momentum", "adam", "rmsprop")}
print("subida de la pérdida de validación desde su mínimo:", tidy(rise))
for where in ("000:115", "000:134"):
    judge("AdamW", where, "mejor regularización; los pesos no crecen demasiado",
          f"norma de los pesos {norms[0.0]:.1f} sin decaimiento y {norms[1.0]:.1f} con 1; mejor "
          f"exactitud {decayed[best_decay]:.3f} con decaimiento y {decayed[0.0]:.3f} sin él",
          pesos=norms[1.0] < norms[0.0],
          exactitud=decayed[best_decay] > decayed[0.0])  # fmt: skip
judge("AdamW", "000:116", "hay que ajustar el decaimiento",
      f"exactitud a la misma tasa, de decaimiento 0 a {decays[-1]:g}: "
      + ", ".join(f"{at_rate_0[d]:.2f}" for d in decays),
      importa=max(at_rate_0.values()) - min(at_rate_0.values()) > 0.05)  # fmt: skip
judge("Adam", "003:41b", "sensible a los hiperparámetros y al weight decay",
      "mejor exactitud con L2 dentro del gradiente, de 0.001 a 0.1: "
      + ", ".join(f"{x:.2f}" for x in l2.values())
      + f"; las β, ×{adam_ratio['tasa fija']:.1f} en pérdida a tasa fija",
      hiperparámetros=adam_ratio["tasa fija"] > 1.3,
      weight_decay=max(l2.values()) - min(l2.values()) > 0.05)  # fmt: skip
judge("Adam", "004:106", "posible sobreajuste",
      f"la pérdida de validación sube {rise['adam']:.2f} desde su mínimo (SGD {rise['sgd']:.2f}, "
      f"momentum {rise['momentum']:.2f})",
      sobreajusta=rise["adam"] > 0.1, más_que_momentum=rise["adam"] > rise["momentum"])  # fmt: skip

# %% [markdown]
# El ruido de los lotes pequeños, ¿generaliza mejor? El mismo número de pasos de SGD con el lote
# completo, y cada uno con su mejor tasa. Comparar a igual número de pasos favorece al lote
# completo, que mira doce veces más ejemplos.


# %%
def train_whole(rate, params):
    """The validation accuracy after as many steps with all examples at once."""
    tx, data = joc.sgd(rate), {"x": x_train, "y": y_noisy}

    def step(carry, _):
        params, state = carry
        u, state = tx.update(jax.grad(cross_entropy)(params, data), state, params)
        return (joc.apply_updates(params, u), state), None

    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), None, length=NET_STEPS)
    return measure(params, {}, {"x": x_valid, "y": y_valid})["accuracy"]


def drawn(leaf):
    """Weights of the same distribution for every seed; biases are zero."""
    scale = np.sqrt(2 / leaf.shape[-2]) if leaf.shape != (LAYERS, WIDTH) else 0.0
    return scale * draw.normal(size=(len(seeds), *leaf.shape)).astype(np.float32)


whole = jax.jit(jax.vmap(jax.vmap(train_whole, (None, 0)), (0, None)))
whole = np.asarray(whole(net_rates.astype(np.float32), jax.tree.map(drawn, shapes)))
full_batch = float(whole.mean(1).max())
print(f"exactitud de validación: lote de 50 {best_accuracy['sgd']:.3f}, completo {full_batch:.3f}")
judge("Mini-batch", "001:373", "el ruido ayuda a salir de mínimos locales y a generalizar",
      f"exactitud {best_accuracy['sgd']:.3f} con lote 50 y {full_batch:.3f} con el completo; en el "
      f"paisaje con pozos el ruido cambia de {noisy_gain.min():+.0%} a {noisy_gain.max():+.0%}",
      sale_de_mínimos=noisy_gain.max() > 0.05,
      generaliza=best_accuracy["sgd"] > full_batch + 0.005)  # fmt: skip

# %% [markdown]
# ## Lo que cuesta cada uno
#
# `joc.audit` dice cuántos bytes de memoria guarda un optimizador, sin calcular nada; el
# compilador, cuántas operaciones hace por peso.

# %%
recipes = {
    "sgd": joc.sgd(0.1), "momentum": joc.momentum(0.1), "rmsprop": joc.rmsprop(0.1),
    "adagrad": joc.adagrad(0.1), "adadelta": joc.adadelta(1.0), "adamax": joc.adamax(0.1),
    "adam": joc.adam(0.1), "adamw": joc.adamw(0.1),
}  # fmt: skip
vector = jnp.zeros(10_000)


def price(tx):
    """Bytes of state and operations of an update, a weight."""
    state = tx.init(vector)
    size = int(joc.audit(tx, vector)["state_bytes"].iloc[-1])
    update = lambda g, state, w: joc.apply_updates(w, tx.update(g, state, w)[0])
    flops = jax.jit(update).lower(vector, state, vector).cost_analysis()["flops"]
    return size / vector.size, flops / vector.size


prices = pd.DataFrame({name: price(tx) for name, tx in recipes.items()}).T
prices.columns = ["bytes por peso", "operaciones por peso"]
per_gradient = work[32] / weights
print(prices.round(1).to_string(), f"el gradiente, con lote 32: {per_gradient:.0f}", sep="\n")
assert prices["bytes por peso"]["sgd"] < 0.01 and prices["bytes por peso"]["adam"] >= 8

share = prices["operaciones por peso"]["adam"] / per_gradient
judge("SGD", "003:40c", "simple y de bajo costo",
      f"{prices['operaciones por peso']['sgd']:.0f} operaciones y "
      f"{prices['bytes por peso']['sgd']:.0f} bytes por peso, los menores de todos",
      operaciones=prices["operaciones por peso"].idxmin() == "sgd",
      memoria=prices["bytes por peso"].idxmin() == "sgd")  # fmt: skip
judge("Momentum", "001:545", "más cálculo y memoria, aunque poco",
      f"{prices['bytes por peso']['momentum']:.0f} bytes más por peso; operaciones, "
      f"{prices['operaciones por peso']['momentum']:.0f} por peso frente a {per_gradient:.0f} del "
      "gradiente",
      memoria=prices["bytes por peso"]["momentum"] >= 4,
      poco_cálculo=prices["operaciones por peso"]["momentum"] < 0.1 * per_gradient)  # fmt: skip
judge("Momentum", "000:42b", "el único inconveniente es un hiperparámetro más",
      f"pérdida entre el peor β y el mejor: ×{ratio['β de momentum']['tasa fija']:.1f} "
      f"a tasa fija, ×{ratio['β de momentum']['tasa afinada']:.1f} afinando; "
      "y guarda otra copia de los pesos",
      hay_que_ajustarlo=ratio["β de momentum"]["tasa fija"] > 1.3,
      es_el_único=prices["bytes por peso"]["momentum"] == 0)  # fmt: skip
judge("Adam", "001:692", "eficiente en memoria y cálculo",
      f"sus operaciones son el {share:.0%} de las del gradiente; su memoria, "
      f"{prices['bytes por peso']['adam']:.0f} bytes por peso: el doble de lo que ocupan los pesos",
      cálculo=share < 0.2, memoria=prices["bytes por peso"]["adam"] < 4)  # fmt: skip
judge("Adam", "004:107", "mayor costo computacional",
      f"×{prices['operaciones por peso']['adam'] / prices['operaciones por peso']['sgd']:.0f} "
      f"operaciones que SGD al actualizar, un {share:.0%} del gradiente con lote 32",
      al_actualizar=np.ptp(prices["operaciones por peso"][["sgd", "adam"]]) > 2,
      en_el_total=share > 0.2)  # fmt: skip

# %% [markdown]
# ## Datos dispersos
#
# Una regresión en línea, un ejemplo por paso, con sesenta y cuatro atributos que aparecen con
# frecuencia $1/j$. Lo difícil son los raros: SGD les da la misma tasa que a los frecuentes;
# Adagrad, una que sólo baja cuando aparecen. Cada uno con su mejor tasa.

# %%
RARE, ONLINE = 64, 2000 if quick() else 5000
frequency = 1 / np.arange(1, RARE + 1)
truth = draw.choice([-1.0, 1.0], RARE)
present = (draw.random((2, ONLINE, RARE)) < frequency).astype(np.float32)
answers = (present @ truth + 0.1 * draw.normal(size=(2, ONLINE))).astype(np.float32)
online_rates = np.geomspace(1e-3, 2, 9).astype(np.float32)


def learn_online(member, rate, x, y):
    """The squared error of each weight after one pass."""
    tx = joc.switch(member, [joc.sgd(rate), joc.adagrad(rate, 0.0), joc.adam(rate)])

    def step(carry, example):
        (w, state), (x, y) = carry, example
        u, state = tx.update((x @ w - y) * x, state, w)
        return (joc.apply_updates(w, u), state), None

    w = jnp.zeros(RARE)
    (w, _), _ = jax.lax.scan(step, (w, tx.init(w)), (x, y))
    return (w - truth) ** 2


over_data = jax.vmap(learn_online, (None, None, 0, 0))
over_rates = jax.vmap(over_data, (None, 0, None, None))
wrongness = np.asarray(
    jax.jit(jax.vmap(over_rates, (0, None, None, None)))(
        jnp.arange(3), online_rates, present, answers
    )
).mean(2)  # (member, rate, weight)
wrongness = np.where(np.isfinite(wrongness), wrongness, np.inf)
risk = (wrongness * frequency).sum(-1)  # what a prediction loses
chosen = wrongness[np.arange(3), risk.argmin(1)]
rare = dict(zip(["sgd", "adagrad", "adam"], chosen[:, RARE // 2 :].mean(1), strict=True))
online_risk = dict(zip(["sgd", "adagrad", "adam"], risk.min(1), strict=True))
print("error de predicción:", tidy(online_risk), "· en los atributos raros:", tidy(rare))

fig, ax = plt.subplots(figsize=(7, 3.8))
for k, (name, colour) in enumerate((("sgd", BLUE), ("adagrad", "#56B4E9"), ("adam", GREEN))):
    smooth = np.convolve(chosen[k], np.ones(5) / 5, "valid")
    ax.plot(frequency[2:-2], smooth, color=colour, label=name, lw=2)
ax.set(xscale="log", yscale="log", xlabel="frecuencia del atributo", ylabel="error² de su peso")
ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.4], ["0,02", "0,05", "0,1", "0,2", "0,4"], minor=False)
ax.set_xticks([], minor=True)
ax.set_title("Lo que se aprende de los atributos raros", fontsize=11)
ax.legend(fontsize=9)
show(fig, "dispersos")

with jax.enable_x64(True):
    tx = joc.adagrad(1.0, 0.0)
    ones = jnp.ones(1000)
    steps = -np.asarray(jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(ones[0]), ones)[1])
assert np.abs(steps - 1 / np.sqrt(np.arange(1, 1001))).max() < 1e-6  # η/√t, but for ε
for where in ("000:120", "000:136"):
    judge("Adagrad", where, "ideal para datos dispersos",
          f"error de predicción {online_risk['adagrad']:.1e} (SGD {online_risk['sgd']:.1e}, Adam "
          f"{online_risk['adam']:.1e}); en la mitad de atributos más raros {rare['adagrad']:.1e} "
          f"(SGD {rare['sgd']:.1e})",
          predice_mejor_que_SGD=online_risk["adagrad"] < online_risk["sgd"],
          mejor_en_los_raros=rare["adagrad"] < rare["sgd"],
          mejor_que_Adam=online_risk["adagrad"] < online_risk["adam"])  # fmt: skip
judge("Adagrad", "000:121", "la tasa se hace muy pequeña con el tiempo",
      f"con gradiente constante, paso {steps[0]:.0f} η el primero y {steps[-1]:.3f} η el milésimo: "
      "como 1/√t", se_encoge=steps[-1] < 0.05)  # fmt: skip

# %% [markdown]
# ## El cuadro
#
# Una fila por afirmación, agrupadas por optimizador. «Depende» no es una evasiva: dice en cuál de
# las pruebas falla.

# %%
verdicts = pd.DataFrame(claims)
ORDER = ["SGD", "Lote completo", "Mini-batch", "Momentum", "RMSprop", "Adam", "AdamW", "Adagrad",
         "Adadelta", "Adamax"]  # fmt: skip
LISTS = {  # the lines of the notes with a list or a table of advantages and disadvantages
    "000": [115, 116, 120, 121, 125, 126, 130, 131, 134, 135, 136, 137],
    "001": [116, 117, 121, 122, 220, 221, 225, 226, 227, 371, 372, 373, 377, 378, 538, 539, 540,
            544, 545, 690, 691, 692, 696, 697, 876, 877, 881, 882],
    "003": [40, 41, 42],
    "004": [42, 43, 47, 48, 101, 102, 106, 107],
}  # fmt: skip
answered = " ".join(verdicts["dónde"])
assert all(f"{file}:{line}" in answered for file, lines in LISTS.items() for line in lines)
assert set(verdicts["optimizador"]) == set(ORDER)
verdicts["dónde"] = verdicts["dónde"].str.replace(r"(\d)[bc]\b", r"\1", regex=True)
verdicts = verdicts.sort_values("optimizador", key=lambda s: s.map(ORDER.index), kind="stable")
lines = [
    "| optimizador | dónde | afirmación | veredicto | lo medido |",
    "| --- | --- | --- | --- | --- |",
]
for row in verdicts.itertuples(index=False):
    name, where, claim, verdict, figure = row
    lines.append(f"| {name} | {where} | {claim} | **{verdict}** | {figure} |")
markdown = "\n".join(lines)
folder = Path("runs") / "course" / "13_ventajas_y_desventajas"
folder.mkdir(parents=True, exist_ok=True)
(folder / "ventajas.md").write_text(markdown + "\n", encoding="utf-8")
if "ipykernel" in sys.modules:
    from IPython.display import Markdown, display

    display(Markdown(markdown))
else:
    print(markdown)

# %%
counts = pd.crosstab(verdicts["optimizador"], verdicts["veredicto"]).reindex(ORDER)
counts = counts.reindex(columns=["se cumple", "depende", "no se cumple"], fill_value=0)
totals = counts.sum()
print(f"{len(verdicts)} afirmaciones:", totals.to_dict())

fig, ax = plt.subplots(figsize=(7, 4.2))
left = np.zeros(len(counts))
for verdict, colour in zip(counts.columns, [GREEN, "#F0E442", RED], strict=True):
    ax.barh(counts.index, counts[verdict], left=left, color=colour, label=verdict, edgecolor="w")
    for y, (x, n) in enumerate(zip(left, counts[verdict], strict=True)):
        if n:
            ax.text(x + n / 2, y, str(n), ha="center", va="center", fontsize=9)
    left += counts[verdict].to_numpy()
ax.invert_yaxis()
ax.set(xlabel="afirmaciones de los apuntes")
ax.set_title("Ventajas y desventajas, medidas", fontsize=11)
ax.legend(fontsize=9, loc="lower right")
show(fig, "veredictos")
assert totals["depende"] > 0 and totals["se cumple"] > totals["no se cumple"]

# %% [markdown]
# ### Cómo leerlo
#
# * Lo que es **cuenta** —operaciones, memoria, precisión del gradiente— se cumple sin matices, y a
#   menudo es pequeño al lado de lo que cuesta el gradiente.
# * Lo que es **velocidad** depende de contra quién se compara y de si ese rival está afinado.
#   Momentum y una tasa mayor son, en una meseta, lo mismo.
# * Lo que es **sensibilidad** depende de si al mover una constante se reajusta la tasa: casi toda
#   la que se ve a tasa fija es la tasa.
# * Una misma propiedad puede ser ventaja y desventaja: la memoria larga de Adamax reduce el salto
#   en el pico y alarga la espera después.
# * Un veredicto es una palabra; lo medido, un número. Donde el margen es pequeño —regularización,
#   sobreajuste, generalización— otra partición de los datos puede cambiar la palabra, y para eso
#   están las semillas y los intervalos de la lección anterior.
