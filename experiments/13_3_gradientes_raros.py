# %% [markdown]
# # 13.3. Ventajas y desventajas: gradientes raros
#
# Gradientes que cambian de escala, que traen un pico de vez en cuando, o que casi siempre son cero:
# para ellos se inventaron los métodos que dividen por el tamaño del gradiente. Se mide a RMSProp y
# Adam con un gradiente que se multiplica y se divide, a Adamax con picos y a Adagrad con datos
# dispersos. El cuadro final se lee como en la parte 13.1.
#
# **Al terminar sabrás** decir qué hace cada método con un gradiente que cambia de escala; por qué
# Adamax salta menos con un pico y tarda más en volver a andar; para qué atributos gana Adagrad.
#
# **Hace falta** la [parte 13.1](13_1_velocidad_y_escala.py) y la
# [lección 4](04_adagrad_rmsprop_adadelta.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, interval, spanish
from jaxopt_course.course.verdicts import show_claims

COLOURS = {"sgd": "#0072B2", "momentum": "#E69F00", "rmsprop": "#CC79A7", "adam": "#009E73",
           "adamax": "#D55E00", "adagrad": "#E69F00"}  # fmt: skip
DASHES = {"adagrad": "--", "adam": "-."}
SEED = 0


def steps_of(tx, gradients):
    """Los pasos que da un optimizador, positivos si bajan."""
    start = tx.init(jnp.asarray(gradients[0]))
    return -np.asarray(jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], start, gradients)[1])


# %% [markdown]
# ## Escalas distintas, y escalas que cambian
#
# Dos coordenadas cuyos gradientes solo difieren en la escala dan **el mismo** camino con RMSProp y
# con Adam, salvo por ε. Y como cada paso está acotado por la tasa, no pueden explotar; otra cosa es
# que lleguen.

# %%
draw = np.random.default_rng(SEED)
SCALES = np.array([1.0, 1e-3, 1e3])
with jax.enable_x64(True):
    same = draw.normal(size=(100, 1)) * SCALES
    advance = {
        "sgd": np.abs(steps_of(joc.sgd(0.01), same).sum(0)),
        "rmsprop": np.abs(steps_of(joc.rmsprop(0.01, eps=1e-16), same).sum(0)),
        "adam": np.abs(steps_of(joc.adam(0.01, eps=1e-16), same).sum(0)),
    }
spread = {name: x.max() / x.min() for name, x in advance.items()}
ratios = pd.DataFrame({"cociente del mayor avance y el menor": spread})
show_table(ratios.rename_axis("escalas de 0,001 a 1000"), 4)
assert spread["sgd"] > 1e5

# %% [markdown]
# Ahora un tazón de condición diez cuyo gradiente se multiplica por treinta durante diez pasos de
# cada veinte. Se cuenta el ancho, en décadas, del intervalo de tasas con las que se llega a un
# vigésimo de la distancia inicial y no se vuelve a salir, con el factor y sin él. El ancho no
# depende de las unidades de la tasa, siempre que los extremos de lo probado queden fuera. Con el
# factor quedan fuera; sin él, Adam llega aun con la mayor, y su ancho es una cota inferior.

# %%
RATES = np.geomspace(1e-5, 1e3, 41 if quick() else 81)
PULSE, STEPS = 30.0, 400
RACERS = ["sgd", "momentum", "rmsprop", "adam"]
angles = draw.uniform(0, 2 * np.pi, 6 if quick() else 24)


# %%
def distances(member, pulse, rate, angle):
    """A qué distancia del fondo está un camino, paso a paso."""
    tx = joc.switch(
        member, [joc.sgd(rate), joc.momentum(rate), joc.rmsprop(rate, 0.9), joc.adam(rate)]
    )

    def step(carry, t):
        w, state = carry
        factor = jnp.where((t // 10) % 2 == 1, pulse, 1.0)
        u, state = tx.update(factor * jnp.array([1.0, 0.1]) * w, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), jnp.sqrt(jnp.sum(w**2))  # NaN donde explotó

    w = jnp.array([jnp.cos(angle), jnp.sin(angle)])
    return jax.lax.scan(step, (w, tx.init(w)), jnp.arange(STEPS))[1]


for inputs in (
    (None, None, None, 0),
    (None, None, 0, None),
    (None, 0, None, None),
    (0, None, None, None),
):
    distances = jax.vmap(distances, inputs)
far = jax.jit(distances)(jnp.arange(4), jnp.array([1.0, PULSE]), RATES, angles)
far = np.asarray(far)
arrived = np.all(far[..., -20:] < 0.05, axis=-1)  # (optimizador, pulso, tasa, salida)
bounded = np.all(far < 1e6, axis=-1)  # NaN no lo es
assert not arrived[:, 1][:, [0, -1]].any()  # con el factor, el rango no corta ningún intervalo
decade = np.log10(RATES[1] / RATES[0])
width = decade * arrived.sum(2)  # (optimizador, pulso, salida)
stable = bounded.mean((2, 3))
widths = pd.DataFrame(width.mean(-1), RACERS, ["sin el factor", "con el factor"])
show_table(widths.rename_axis("décadas de tasas que llegan"), 2)
wide = dict(zip(RACERS, width[:, 1], strict=True))
safe = dict(zip(RACERS, stable[:, 1], strict=True))

claims = [
    claim("RMSProp", "001:876", "apto para gradientes que cambian rápidamente",
          f"décadas de tasas que llegan con gradientes {PULSE:.0f} veces mayores a ratos: "
          f"{wide['rmsprop'].mean():.1f} RMSProp, {wide['sgd'].mean():.1f} SGD",
          no_explota=safe["rmsprop"] > 0.99 > safe["sgd"],
          llega_con_más_tasas=decided(wide["rmsprop"] - wide["sgd"])),
    claim("RMSProp", "000:65-68", "paso menor si el gradiente es grande; evita que explote",
          f"con escalas de gradiente que difieren en 10⁶, cociente del mayor avance y el menor: "
          f"{spread['rmsprop']:.3f} (SGD {spread['sgd']:,.0f}); caminos sin explotar "
          f"{safe['rmsprop']:.0%} (SGD {safe['sgd']:.0%})",
          iguala_los_avances=spread["rmsprop"] < 1.1,
          no_explota=safe["rmsprop"] > 0.99 > safe["sgd"]),
    claim("RMSProp", "003:42", "control adaptativo del paso",
          "con escalas de gradiente que difieren en 10⁶, cociente del mayor avance y el menor: "
          f"{spread['rmsprop']:.3f}",
          iguala_los_avances=spread["rmsprop"] < 1.1),
    claim("Adam", "004:102, 003:41", "adapta la tasa de cada parámetro",
          "con escalas de gradiente que difieren en 10⁶, cociente del mayor avance y el menor: "
          f"{spread['adam']:.3f}",
          iguala_los_avances=spread["adam"] < 1.1),
    claim("Adam", "001:691", "se adapta por parámetro y eso da estabilidad",
          f"con gradientes {PULSE:.0f} veces mayores a ratos, caminos que no explotan: Adam "
          f"{safe['adam']:.0%}, SGD {safe['sgd']:.0%}; décadas de tasas que llegan: "
          f"{wide['adam'].mean():.1f} y {wide['sgd'].mean():.1f}",
          no_explota=safe["adam"] > 0.99 > safe["sgd"],
          llega_con_más_tasas=decided(wide["adam"] - wide["sgd"])),
]  # fmt: skip

# %% [markdown]
# ## Adamax ante un pico, y ante el ruido
#
# Dos preguntas distintas: cuánto se mueve el parámetro en el momento del pico, y cuánto tarda
# después en volver a andar. Adamax guarda el máximo, que se olvida como $\beta_2^t$; Adam guarda
# un cuadrado medio, cuya raíz se olvida como $\beta_2^{t/2}$ pero partiendo de un valor
# $1/\sqrt{1-\beta_2}$ veces menor.

# %%
PEAK, WHEN, LENGTH = 1e3, 200, 8000
stream = np.ones(LENGTH, np.float32)
stream[WHEN] = PEAK
spiked = {"adam": steps_of(joc.adam(1.0), stream), "adamax": steps_of(joc.adamax(1.0), stream)}
jump = {name: x[WHEN] for name, x in spiked.items()}
back = {name: int(np.argmax(x[WHEN + 50 :] > 0.5) + 50) for name, x in spiked.items()}
heads = {"paso en el pico / η": jump, "pasos hasta recuperar la mitad": back}
show_table(pd.DataFrame(heads).rename_axis(""))

fig, ax = plt.subplots(figsize=(7, 3.8))
for name, path in spiked.items():
    ax.plot(np.arange(LENGTH) - WHEN, path, color=COLOURS[name], label=name, lw=1.8)
ax.axhline(1, color="#777777", lw=0.8, ls=":")
ax.set(
    xlabel="pasos desde el pico", ylabel="paso, en unidades de η", yscale="log", xlim=(-200, 7500)
)
ax.set_title(spanish(f"Un gradiente de {PEAK:,.0f} entre gradientes de 1"))
ax.legend()
show(fig, "pico", "El paso de Adam y el de Adamax antes y después de un gradiente de 1000")

# %% [markdown]
# En el pico Adamax da un paso diez veces más corto que los suyos y Adam uno más largo; después los
# dos se quedan casi parados. Adam llega antes a la mitad de su paso, y Adamax al paso entero.
#
# El ruido: un tazón redondo con ruido normal o de cola pesada, que es el mismo dividido por una
# potencia de un número al azar. Muchas tormentas para cada tasa. Con la mitad de ellas cada uno
# elige su tasa y con la otra mitad se informa; se compara tormenta a tormenta el logaritmo de la
# pérdida media de los últimos cien pasos.

# %%
STORM_RATES = np.geomspace(1e-4, 1, 9 if quick() else 17)
STORMS, STORM_STEPS = 24 if quick() else 96, 600
normal = draw.normal(size=(STORMS, STORM_STEPS, 2)).astype(np.float32)
uniform = draw.uniform(1e-6, 1, size=(STORMS, STORM_STEPS, 1)).astype(np.float32)


def weather(member, tail, rate, normal, uniform):
    """La pérdida media de los últimos cien pasos en una tormenta."""
    tx = joc.switch(member, [joc.sgd(rate), joc.adam(rate), joc.adamax(rate)])

    def step(carry, noise):
        w, state = carry
        u, state = tx.update(w + noise, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), 0.5 * jnp.sum(w**2)

    w = jnp.array([1.0, -0.6])
    losses = jax.lax.scan(step, (w, tx.init(w)), normal / uniform**tail)[1]
    return jnp.log(jnp.minimum(jnp.mean(losses[-100:]), 1e6))


for inputs in (
    (None, None, None, 0, 0),
    (None, None, 0, None, None),
    (None, 0, None, None, None),
    (0, None, None, None, None),
):
    weather = jax.vmap(weather, inputs)
stormy = ["sgd", "adam", "adamax"]
logs = jax.jit(weather)(jnp.arange(3), jnp.array([0.0, 0.9]), STORM_RATES, normal, uniform)
logs = np.nan_to_num(np.asarray(logs), nan=np.log(1e6))  # (optimizador, cola, tasa, tormenta)
choosing, reporting = np.split(logs, 2, axis=-1)
pick = choosing.mean(-1).argmin(-1)
assert pick.min() > 0 and pick.max() < len(STORM_RATES) - 1  # ninguna en el borde
loss = {
    (name, tail): reporting[i, j, pick[i, j]]
    for i, name in enumerate(stormy)
    for j, tail in enumerate(("normal", "pesada"))
}
rows = []
for (name, tail), values in loss.items():
    mean, half = interval(values)
    rows.append([tail, name, np.exp(mean), np.exp(mean - half), np.exp(mean + half)])
heads = ["cola", "optimizador", "pérdida típica", "desde", "hasta"]
show_table(pd.DataFrame(rows, columns=heads), 2, index=False)

typical = {key: np.exp(values.mean()) for key, values in loss.items()}
claims.append(
    claim("Adamax", "000:130, 000:137", "más robusto ante gradientes grandes o ruidosos",
          f"paso en un pico: {jump['adamax']:.2f} η (Adam {jump['adam']:.2f} η), pero tarda "
          f"{back['adamax']:,} pasos en recuperarse (Adam {back['adam']:,}); pérdida con ruido "
          f"normal {typical['adamax', 'normal']:.2g} y {typical['adam', 'normal']:.2g}, de cola "
          f"pesada {typical['adamax', 'pesada']:.2g} y {typical['adam', 'pesada']:.2g}",
          part="en un pico y con ruido", salta_menos=jump["adamax"] < jump["adam"],
          se_recupera_antes=back["adamax"] < back["adam"],
          con_ruido_normal=decided(loss["adam", "normal"] - loss["adamax", "normal"]),
          con_cola_pesada=decided(loss["adam", "pesada"] - loss["adamax", "pesada"]))
)  # fmt: skip

# %% [markdown]
# ## Datos dispersos
#
# Una regresión en línea, un ejemplo por paso, con sesenta y cuatro atributos que aparecen con
# frecuencia $1/j$. Lo difícil son los raros: SGD les da la misma tasa que a los frecuentes;
# Adagrad, una que solo baja cuando aparecen. De nuevo, unos conjuntos de datos eligen la tasa y
# otros informan.

# %%
RARE, ONLINE, SETS = 64, 2000 if quick() else 5000, 8 if quick() else 24
ONLINE_RATES = np.geomspace(1e-3, 3, 9 if quick() else 15).astype(np.float32)
frequency = 1 / np.arange(1, RARE + 1)
truth = draw.choice([-1.0, 1.0], (SETS, RARE)).astype(np.float32)
present = (draw.random((SETS, ONLINE, RARE)) < frequency).astype(np.float32)
answers = np.einsum("snf,sf->sn", present, truth) + 0.1 * draw.normal(size=(SETS, ONLINE))


def learn_online(member, rate, x, y):
    """Los pesos tras una pasada."""
    tx = joc.switch(member, [joc.sgd(rate), joc.adagrad(rate, 0.0), joc.adam(rate)])

    def step(carry, example):
        (w, state), (x, y) = carry, example
        u, state = tx.update((x @ w - y) * x, state, w)
        return (joc.apply_updates(w, u), state), None

    w = jnp.zeros(RARE)
    return jax.lax.scan(step, (w, tx.init(w)), (x, y))[0][0]


for inputs in ((None, None, 0, 0), (None, 0, None, None), (0, None, None, None)):
    learn_online = jax.vmap(learn_online, inputs)
learned = jax.jit(learn_online)(jnp.arange(3), ONLINE_RATES, present, answers.astype(np.float32))
wrong = np.nan_to_num((np.asarray(learned) - truth) ** 2, nan=1e9, posinf=1e9)
wrong = np.minimum(wrong, 1e9)  # (optimizador, tasa, conjunto, peso)
risk = np.log((wrong * frequency).sum(-1))  # lo que pierde una predicción
learners, half = ["sgd", "adagrad", "adam"], SETS // 2
pick = risk[:, :, :half].mean(-1).argmin(1)
assert pick.min() > 0 and pick.max() < len(ONLINE_RATES) - 1
online = {name: risk[i, pick[i], half:] for i, name in enumerate(learners)}
weights = {name: wrong[i, pick[i], half:] for i, name in enumerate(learners)}
rare = {name: np.log(w[:, RARE // 2 :].mean(-1)) for name, w in weights.items()}
rows = []
for name in learners:
    rate, (mean, width) = ONLINE_RATES[pick[learners.index(name)]], interval(online[name])
    rows.append([name, rate, np.exp(mean), np.exp(mean - width), np.exp(mean + width)])
heads = ["optimizador", "tasa", "error de predicción", "desde", "hasta"]
show_table(pd.DataFrame(rows, columns=heads), 2, index=False)

fig, ax = plt.subplots(figsize=(7, 3.8))
for name, w in weights.items():
    smooth = np.convolve(w.mean(0), np.ones(5) / 5, "valid")
    ax.plot(frequency[2:-2], smooth, DASHES.get(name, "-"), color=COLOURS[name], label=name, lw=2)
ax.set(xscale="log", yscale="log", xlabel="frecuencia del atributo", ylabel="error² de su peso")
ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.4], ["0,02", "0,05", "0,1", "0,2", "0,4"], minor=False)
ax.set_xticks([], minor=True)
ax.set_title("Lo que se aprende de los atributos raros")
ax.legend()
show(fig, "dispersos", "Error del peso de cada atributo, según la frecuencia con que aparece")

with jax.enable_x64(True):
    shrinking = steps_of(joc.adagrad(1.0, 0.0), np.ones(1000))
assert np.abs(shrinking - 1 / np.sqrt(np.arange(1, 1001))).max() < 1e-6  # η/√t, salvo por ε
say = lambda table, name: f"{np.exp(table[name].mean()):.1e}"
claims += [
    claim("Adagrad", "000:120, 000:136", "ideal para datos dispersos",
          f"error de predicción {say(online, 'adagrad')} (SGD {say(online, 'sgd')}, Adam "
          f"{say(online, 'adam')}); en la mitad de atributos más raros {say(rare, 'adagrad')} "
          f"(SGD {say(rare, 'sgd')})",
          part="ejemplo a ejemplo",
          predice_mejor_que_SGD=decided(online["sgd"] - online["adagrad"]),
          mejor_en_los_raros=decided(rare["sgd"] - rare["adagrad"]),
          mejor_que_Adam=decided(online["adam"] - online["adagrad"])),
    claim("Adagrad", "000:121", "la tasa se hace muy pequeña con el tiempo",
          f"con gradiente constante, paso {shrinking[0]:.0f} η el primero y {shrinking[-1]:.3f} η "
          "el milésimo: como 1/√t", se_encoge=shrinking[-1] < 0.05),
]  # fmt: skip

# %% [markdown]
# Adagrad aprende mejor los atributos frecuentes, que son los que más pesan en una predicción; en
# la mitad más rara el error de SGD es menor. Decir «ideal para datos dispersos» es
# no decir en cuáles.
#
# ## El cuadro

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - Con RMSProp y Adam la escala de un gradiente no cambia el camino, salvo por $\varepsilon$: no
#   explotan.
# - No explotar no es llegar: las décadas de tasas que llegan son pocas también para ellos.
# - Ante un pico, Adamax salta menos y lo recuerda más.
# - Adagrad predice mejor con datos dispersos; los pesos más raros los aprende mejor SGD.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice cuánto mide el paso de Adam en un pico de $10^6$ en lugar de $10^3$.
# 2. Cambia `PULSE` por 300. ¿Quién pierde más décadas?
# 3. ¿Con qué $\beta_2$ tarda Adamax lo mismo que Adam en recuperarse?
# 4. Demuestra que con gradiente constante el paso $t$ de Adagrad es $\eta/\sqrt t$.
#
# ## Para leer más
#
# - Duchi, Hazan y Singer (2011), «Adaptive Subgradient Methods for Online Learning and Stochastic
#   Optimization».
# - Kingma y Ba (2015), «Adam: A Method for Stochastic Optimization», sección 7.1, sobre Adamax.
# - Zhang y otros (2020), «Why Are Adaptive Methods Good for Attention Models?», sobre colas
#   pesadas.
