# %% [markdown]
# # 13.2. Ventajas y desventajas: los mínimos locales
#
# «Ayuda a escapar de mínimos locales» es el elogio que más se repite en los apuntes: del ruido, de
# los lotes pequeños, de momentum. Aquí se cuentan pozos. Al final, un ejemplo en el que Adam acaba
# en el peor punto posible, y un cuadro con los veredictos como los de la parte 13.1.
#
# **Al terminar sabrás** contar quién escapa de un pozo y quién se queda en el bueno; elegir la tasa
# con unos puntos de partida e informar con otros; dar un ejemplo en que Adam no converge.
#
# **Hace falta** la [parte 13.1](13_1_velocidad_y_escala.py) y la [lección 6](06_carrera.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, interval, spanish
from jaxopt_course.course.figures import proper
from jaxopt_course.course.verdicts import show_claims

COLOURS = {"sgd": "#0072B2", "sgd con ruido": "#777777", "momentum": "#E69F00",
           "rmsprop": "#CC79A7", "adam": "#009E73"}  # fmt: skip

# %% [markdown]
# ## Un paisaje con pozos
#
# $$ f(w)=\tfrac1{20}w^2+1-\cos 2w $$
#
# tiene el mínimo global en el cero y pozos cada vez más altos a los lados. Muchos puntos de partida
# al azar, cada uno con su camino; al final se cuenta cuántos se han quedado en el pozo central. El
# ruido, cuando lo hay, no se apaga: también se ve si el que escapa se queda.
#
# El optimizador con mejor resultado en **alguna** tasa ha tenido muchas oportunidades, así que la
# tasa se elige con la mitad de los puntos de partida y se informa con la otra mitad.

# %%
STEPS, SEED = 600, 0
curvature = 0.1 + 4.0  # el mayor de f''
RATES = [0.003, 0.03, 0.06, 0.1, 0.15, 0.3, 0.45, 0.6, 0.9, 1.5, 2.5, 4.0]
WELL = np.pi / 2
starts = np.random.default_rng(SEED).uniform(-9, 9, 200 if quick() else 2000)
members = {"sgd": 0, "momentum": 0, "rmsprop": 1, "adam": 2}
table = pd.concat(
    [joc.grid(name=name, rate=RATES, noise=0.0, start=starts) for name in members]
    + [joc.grid(name="sgd", rate=RATES, noise=4.0, start=starts)],
    ignore_index=True,
)


# %%
def landscape(w):
    return w**2 / 20 + 1 - jnp.cos(2 * w)


def descend(row, key):
    """Dónde está un camino en cada paso."""
    rate = row["rate"]
    tx = joc.switch(
        row["member"], [joc.momentum(rate, row["beta"]), joc.rmsprop(rate, 0.9), joc.adam(rate)]
    )

    def step(carry, noise):
        w, state = carry
        u, state = tx.update(jax.grad(landscape)(w) + row["noise"] * noise, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), w

    noises = jax.random.normal(key, (STEPS,))
    return jax.lax.scan(step, (row["start"], tx.init(row["start"])), noises)[1]


columns = {key: jnp.asarray(table[key], jnp.float32) for key in ("rate", "noise", "start")}
columns["member"] = jnp.asarray(table["name"].map(members))
columns["beta"] = jnp.asarray(np.where(table["name"].eq("momentum"), 0.9, 0.0), jnp.float32)
keys = jax.random.split(jax.random.key(SEED), len(table))
paths = np.asarray(jax.jit(jax.vmap(descend))(columns, keys))
print(spanish(f"{len(table):,} caminos de {STEPS} pasos en un programa"))


# %%
def inside(name, noise=0.0, end=STEPS):
    """Por salida y tasa: si el camino lleva cincuenta pasos en el pozo central."""
    rows = table.index[table["name"].eq(name) & table["noise"].eq(noise)]
    stays = np.all(np.abs(paths[rows, end - 50 : end]) < WELL, axis=1)
    return pd.DataFrame(stays.reshape(len(RATES), -1).T, columns=RATES).astype(float)


def moving(name):
    """Por tasa: la parte de los caminos que no se han parado en los últimos cincuenta pasos."""
    rows = table.index[table["name"].eq(name) & table["noise"].eq(0)]
    restless = np.ptp(paths[rows, -50:], axis=1) > 0.1
    return pd.Series(restless.reshape(len(RATES), -1).mean(1), RATES)


ends = {name: inside(name.split()[0], 4.0 if "ruido" in name else 0.0) for name in COLOURS}
begin = np.mean(np.abs(starts) < WELL)
shares = pd.DataFrame({name: end.mean() for name, end in ends.items()})
print(spanish(f"al empezar, en el pozo central: {begin:.0%}; al acabar, por tasa (en %):"))
show_table((100 * shares).rename_axis("tasa").round(1))

half = len(starts) // 2
chosen = {name: end[:half].mean().idxmax() for name, end in ends.items()}
reported = {name: end[half:][chosen[name]].to_numpy() for name, end in ends.items()}
for name, values in reported.items():
    mean, width = interval(values)
    print(spanish(f"{proper(name)} con su mejor tasa, {chosen[name]}: {mean:.1%} ± {width:.1%}"))

fig, ax = plt.subplots(figsize=(7, 4))
for name, colour in COLOURS.items():
    ax.plot(100 * shares[name], "o--" if name == "adam" else "o-", color=colour, label=name)
ax.axhline(100 * begin, color="k", ls=":", label="al empezar")
ax.axvline(2 / curvature, color="#777777", lw=0.8)
ax.text(2 / curvature, 90, "límite de SGD ", color="#777777", ha="right")
ax.set(
    xscale="log", xlabel="tasa de aprendizaje", ylabel="se quedan en el mínimo global (%)", ylim=0
)
ax.set_title("¿Quién escapa de los mínimos locales, y se queda fuera?")
ax.legend()
show(fig, "minimos_locales", "Cuántos acaban en el pozo central, según la tasa")

# %% [markdown]
# Lo que hay que mirar: con tasa baja nadie se mueve del pozo en que nació. El ruido saca a muchos a
# tasas medias, y a tasas altas los saca también del bueno. Momentum sale rodando. Por encima del
# límite de estabilidad, $2/\max f''$, SGD no se asienta: primero da vueltas dentro de su pozo y,
# con tasas aún mayores, salta de uno a otro. RMSProp da pasos casi iguales, de tamaño $\eta$: con
# una tasa comparable a la anchura de un pozo atraviesa los de los lados y se queda rebotando en
# el central. Si el rango probado hubiera acabado en $0{,}9$, esto no se habría visto.

# %%
restless = pd.DataFrame({name: moving(name) for name in members})
print("siguen moviéndose al final, por tasa (en %):")
show_table((100 * restless).rename_axis("tasa").round(0))
assert shares["rmsprop"][1.5] > 0.9 and restless["rmsprop"][1.5] > 0.9
assert shares["sgd"][0.9] > begin / 2 and restless["sgd"][0.9] > 0.9 and shares["sgd"][1.5] < 0.05
low = RATES[0]
calm = [rate for rate in RATES if rate < 2 / curvature]
noisy_gain = {rate: ends["sgd con ruido"][rate] - ends["sgd"][rate] for rate in calm}
heavy_gain = {rate: ends["momentum"][rate] - ends["sgd"][rate] for rate in calm}
extremes = lambda gain: [f(x.mean() for x in gain.values()) for f in (min, max)]
early = inside("rmsprop", end=STEPS // 6)
drift = {rate: ends["rmsprop"][rate] - early[rate] for rate in RATES}
sign = lambda x: f"{100 * x:+.0f}"
at_best = lambda gain: gain[max(gain, key=lambda rate: gain[rate][:half].mean())][half:]
slow = table.index[table["name"].eq("sgd") & table["noise"].eq(0) & table["rate"].eq(low)]
left_behind = np.round(paths[slow, -1] / np.pi) == np.round(starts / np.pi)
escape = decided(at_best(noisy_gain), 0.02)
claims = [
    claim("SGD", "000:15, 004:43, 002:509", "el ruido ayuda a escapar de mínimos locales",
          "diferencia con y sin ruido en los que acaban en el pozo central, según la tasa: de "
          f"{sign(extremes(noisy_gain)[0])} a {sign(extremes(noisy_gain)[1])} puntos",
          con_alguna_tasa=escape,
          con_toda_tasa=all(decided(gain) for gain in noisy_gain.values())),
    claim("Mini-lote", "001:373", "el ruido del lote ayuda a salir de mínimos locales",
          "con la tasa elegida aparte acaban en el global el "
          f"{reported['sgd con ruido'].mean():.0%} con ruido añadido y el "
          f"{reported['sgd'].mean():.0%} sin él",
          sale=decided(reported["sgd con ruido"] - reported["sgd"])),
    claim("SGD", "001:122", "mal afinado se queda en un mínimo local o no converge",
          f"con tasa {low} acaba en el pozo en que empezó el {left_behind.mean():.0%}; con "
          f"tasa {RATES[-1]:g} sigue sin asentarse el {restless['sgd'][RATES[-1]]:.0%}",
          atrapado_con_tasa_baja=decided(left_behind, 0.95),
          sin_converger_con_tasa_alta=restless["sgd"][RATES[-1]] > 0.5),
    claim("Lote completo", "001:220", "la estabilidad facilita llegar al mínimo global",
          f"sin ruido y con su mejor tasa acaba en el global el {reported['sgd'].mean():.0%}; "
          f"con ruido, el {reported['sgd con ruido'].mean():.0%}",
          llega_casi_siempre=decided(reported["sgd"], 0.9),
          más_que_con_ruido=decided(reported["sgd"] - reported["sgd con ruido"])),
    claim("Lote completo", "002:509", "puede quedarse en un punto que no es el mejor",
          "con su mejor tasa acaba fuera del mínimo global el "
          f"{1 - reported['sgd'].mean():.0%}",
          ocurre=decided(1 - reported["sgd"], 0.1)),
    claim("Momentum", "001:538, 000:41", "ayuda a superar mínimos locales",
          f"diferencia con SGD a la misma tasa: de {sign(extremes(heavy_gain)[0])} a "
          f"{sign(extremes(heavy_gain)[1])} puntos; cada uno con su mejor tasa, "
          f"{reported['momentum'].mean():.0%} y {reported['sgd'].mean():.0%}",
          part="en un paisaje de una dimensión",
          a_la_misma_tasa=decided(at_best(heavy_gain), 0.02),
          cada_uno_con_su_mejor_tasa=decided(reported["momentum"] - reported["sgd"])),
    claim("RMSProp", "001:882", "puede quedar atrapado en mínimos locales, sobre todo a la larga",
          f"acaba fuera del global el {1 - ends['rmsprop'][0.03].mean():.0%} con tasa 0.03 y el "
          f"{1 - reported['rmsprop'].mean():.0%} con la mejor, {chosen['rmsprop']}; entre el paso "
          f"{STEPS // 6} y el {STEPS} los del pozo central cambian, según la tasa, de "
          f"{sign(extremes(drift)[0])} a {sign(extremes(drift)[1])} puntos",
          con_tasa_baja=decided(1 - ends["rmsprop"][0.03], 0.1),
          con_la_mejor_tasa=decided(1 - reported["rmsprop"], 0.1),
          empeora_a_la_larga=any(decided(-x, 0.02) for x in drift.values())),
]  # fmt: skip

# %% [markdown]
# ## Adam puede acabar en el peor sitio
#
# Reddi et al. (2018): en $[-1,1]$ el gradiente vale $C$ una de cada tres veces y $-1$ las otras
# dos. Si $C>2$ la suma empuja hacia $-1$, que es el óptimo. Adam con una memoria corta olvida el
# gradiente grande y raro y se va a $+1$. Con $\beta_2$ larga, o con AMSGrad, no ocurre.

# %%
C = 3.0
forgetful = 1 / (1 + C**2)


# %%
def online(tx):
    """Dónde está el parámetro tras 1500 pasos: la media de los últimos treinta."""

    def step(carry, t):
        w, state = carry
        u, state = tx.update(jnp.where(t % 3 == 0, C, -1.0), state, w)
        w = jnp.clip(joc.apply_updates(w, u), -1.0, 1.0)
        return (w, state), w

    w = jnp.asarray(0.0)
    return jax.lax.scan(step, (w, tx.init(w)), jnp.arange(1500))[1]


walks = {
    "adam, β₂ corta": online(joc.adam(0.01, b1=0.0, b2=forgetful)),
    "adam, β₂ = 0.999": online(joc.adam(0.01, b1=0.0)),
    "amsgrad, β₂ corta": online(joc.amsgrad(0.01, b1=0.0, b2=forgetful)),
    "sgd": online(joc.sgd(0.01)),
}
final = {name: float(walk[-30:].mean()) for name, walk in walks.items()}
assert final["adam, β₂ corta"] > 0.9
assert max(x for name, x in final.items() if name != "adam, β₂ corta") < -0.9
claims.append(
    claim("Adam", "001:697", "puede converger a soluciones subóptimas con malos hiperparámetros",
          f"ejemplo de Reddi (el óptimo es -1): acaba en {final['adam, β₂ corta']:+.2f} con β₂ "
          f"corta y en {final['adam, β₂ = 0.999']:+.2f} con la habitual",
          ocurre=final["adam, β₂ corta"] > 0.9)
)  # fmt: skip

fig, ax = plt.subplots(figsize=(7, 3.4))
for (name, walk), colour in zip(
    walks.items(), ["#D55E00", "#009E73", "#56B4E9", "#0072B2"], strict=True
):
    ax.plot(walk, color=colour, label=name, lw=1.4)
ax.axhline(-1, color="k", ls=":", lw=1)
ax.set(xlabel="paso", ylabel="w", ylim=(-1.1, 1.1))
ax.set_title("El óptimo es −1, y uno se va al otro extremo")
ax.legend()
show(fig, "reddi", "El ejemplo de Reddi: el óptimo es −1, y Adam con la memoria corta se va a +1")

# %% [markdown]
# No es que Adam llegue tarde: va, paso a paso, al extremo contrario. AMSGrad no olvida el mayor
# gradiente que ha visto, y la $\beta_2$ habitual lo olvida tan despacio que basta.

# %% [markdown]
# ## El cuadro

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - Con una tasa baja casi nadie sale del pozo en que empezó, tenga momentum o no.
# - El ruido saca de los pozos malos a tasas medias; a tasas altas, también del bueno.
# - RMSProp da pasos de tamaño $\eta$: con $\eta$ comparable a un pozo, los atraviesa.
# - Adam con una memoria corta puede ir al peor punto aun en un problema convexo.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice qué hará SGD con ruido si el ruido se apaga como $1/\sqrt t$. ¿Escapará, y se quedará?
# 2. Cambia `noise=4.0` por 2 y por 8. ¿Se mueve la tasa con la que más acaban en el pozo central?
# 3. ¿Desde qué $\beta_2$ deja Adam de equivocarse en el ejemplo de Reddi con $C=3$? ¿Y con $C=10$?
# 4. Demuestra que en el ejemplo de Reddi la suma de los gradientes de tres pasos es $C-2$, y que
#    por eso el óptimo es $-1$.
#
# ## Para leer más
#
# - Kleinberg, Li y Yuan (2018), «An Alternative View: When Does SGD Escape Local Minima?».
# - Reddi, Kale y Kumar (2018), «On the Convergence of Adam and Beyond».
# - Choromanska y otros (2015), «The Loss Surfaces of Multilayer Networks».
