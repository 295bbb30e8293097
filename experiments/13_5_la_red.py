# %% [markdown]
# # 13.5. Ventajas y desventajas: en una red
#
# «Convergencia rápida», «sensible a los hiperparámetros», «no necesita una tasa inicial»: lo que se
# dice de los optimizadores se dice pensando en redes. Aquí se entrena una, profunda, con todos; y
# se cuenta lo que cuesta cada uno. El cuadro final se lee como en la parte 13.1.
#
# **Al terminar sabrás** distinguir la sensibilidad a una constante de la sensibilidad a la tasa que
# le conviene; medir el ancho útil de una tasa; contar la memoria y las operaciones de un
# optimizador.
#
# **Hace falta** la [parte 13.1](13_1_velocidad_y_escala.py) y la [lección 5](05_adam.py).

# %%
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, spanish
from jaxopt_course.course.digits import noisy_digits
from jaxopt_course.course.figures import proper
from jaxopt_course.course.verdicts import show_claims

joc.use_cpu_cores(1 if quick() else None)
COLOURS = {"sgd": "#0072B2", "momentum": "#E69F00", "rmsprop": "#CC79A7", "adadelta": "#777777",
           "adamax": "#D55E00", "adam": "#009E73"}  # fmt: skip
SEED = 0

# %% [markdown]
# ## El barrido
#
# Cuatro capas ocultas (para Adadelta habrá otra red, de doce), seiscientos dígitos y parte de
# las etiquetas cambiadas al azar. Las mismas tasas para todos —un rango ancho, para que ningún
# óptimo quede en el borde— y encima las constantes propias de cada uno. Las primeras semillas
# **eligen** la tasa; las demás, que no han elegido nada, **informan**, y todas las diferencias se
# toman semilla a semilla: los mismos pesos iniciales y los mismos lotes.

# %%
DEPTH = 2 if quick() else 4
task = noisy_digits(lambda rngs: joc.MLP(64, *[24] * DEPTH, 10, rngs=rngs), train=600, seed=SEED)
STEPS, EVERY = (72, 12) if quick() else (300, 6)
RATES = np.geomspace(1e-4, 10, 6 if quick() else 11)
CHOOSE, TELL = (range(1), range(1, 3)) if quick() else (range(2), range(2, 8))

# %%
constants = {
    "momentum": [{"momentum": 0.0}, {"momentum": 0.5}, {"momentum": 0.9}, {"momentum": 0.99}],
    "rmsprop": [{"decay": 0.5}, {"decay": 0.9}, {"decay": 0.99}, {"decay": 0.999}],
    "adadelta": [{}],
    "adamax": [{}],
    "adam": [{"b1": 0.9, "b2": 0.999}, {"b1": 0.0, "b2": 0.999}, {"b1": 0.99, "b2": 0.999},
             {"b1": 0.9, "b2": 0.9}],
}  # fmt: skip

# %%
grids = [
    joc.grid(optimizer=name, learning_rate=RATES, seed=[*CHOOSE, *TELL], **numbers)
    for name, several in constants.items()
    for numbers in several
]
table = pd.concat(grids, ignore_index=True)
study = joc.sweep(
    task,
    table,
    steps=STEPS,
    batch_size=50,
    record_every=EVERY,
    evaluate_every=STEPS // 3,
    progress=False,
)
print(spanish(f"{len(table):,} redes en un programa"))

# %% [markdown]
# De cada configuración quedan la pérdida de entrenamiento al acabar y la exactitud de validación
# de cada semilla, en una tabla de tasas por semillas. Quien diverge pierde $\infty$ y acierta uno
# de cada diez.

# %%
done = study.trials.copy()
ok = done["status"].eq("finished")
done["loss"] = done["train_loss"].where(ok, np.inf).fillna(np.inf).astype(float)
done["accuracy"] = done["valid_accuracy"].where(ok, 0.1).fillna(0.1).astype(float)
curves = study.curves["train_loss"].to_numpy()
shape = (len(RATES), len(CHOOSE) + len(TELL))
blocks = {}
for k, (name, numbers) in enumerate((n, c) for n, several in constants.items() for c in several):
    blocks[name, tuple(numbers.values())] = slice(k * np.prod(shape), (k + 1) * np.prod(shape))
assert all(done["optimizer"].iloc[block].eq(key[0]).all() for key, block in blocks.items())
USUAL = {"sgd": ("momentum", (0.0,)), "momentum": ("momentum", (0.9,)),
         "rmsprop": ("rmsprop", (0.9,)),
         "adadelta": ("adadelta", ()), "adamax": ("adamax", ()),
         "adam": ("adam", (0.9, 0.999))}  # fmt: skip


def measured(key, column):
    """Una medida de una configuración: tasas por semillas."""
    return done[column].iloc[blocks[key]].to_numpy().reshape(shape)


def tuned(key, column="loss"):
    """El puesto de la tasa que prefieren las semillas que eligen, y la medida de las otras."""
    scores = measured(key, column) * (1 if column == "loss" else -1)
    best = int(np.argmin(scores[:, : len(CHOOSE)].mean(1)))
    return best, measured(key, column)[best, len(CHOOSE) :]


# %% [markdown]
# ## Quién llega antes, y cuánto importa acertar la tasa
#
# La meta de cada semilla es la pérdida a la que llega en todo el presupuesto el SGD afinado. El
# ancho útil son las décadas de tasas que conservan nueve décimos de la mejor exactitud.


# %%
def lines(key):
    """Las pérdidas de entrenamiento: tasas por semillas por registros."""
    return np.where(np.isfinite(curves[blocks[key]]), curves[blocks[key]], np.inf).reshape(
        *shape, -1
    )


sgd_rate = tuned(USUAL["sgd"])[0]
goal = 1.02 * lines(USUAL["sgd"])[sgd_rate].min(-1)  # uno por semilla


def steps_to(key):
    """Pasos hasta la meta, tasas por semillas; si no llega, el presupuesto y un registro más."""
    below = lines(key) <= goal[:, None]
    return np.where(below.any(-1), below.argmax(-1) + 1, STEPS // EVERY + 1) * EVERY


# %%
reach, width, best = {}, {}, {}
for name, key in USUAL.items():
    steps = steps_to(key)
    first = int(np.argmin(steps[:, : len(CHOOSE)].mean(1)))
    reach[name] = np.log(steps[first, len(CHOOSE) :])
    accuracy = measured(key, "accuracy")[:, len(CHOOSE) :]
    good = accuracy > 0.1 + 0.9 * (accuracy.max(0) - 0.1)
    width[name] = np.log10(RATES[1] / RATES[0]) * good.sum(0)
    best[name] = tuned(key, "accuracy")

# %%
sooner = {name: np.exp((reach["sgd"] - reach[name]).mean()) for name in USUAL}
summary = pd.DataFrame(
    {
        "mejor tasa": {name: RATES[k] for name, (k, _) in best.items()},
        "exactitud": {name: x.mean() for name, (_, x) in best.items()},
        "pasos de SGD / los suyos": sooner,
        "décadas útiles": {name: x.mean() for name, x in width.items()},
    }
)
show_table(summary.rename_axis("optimizador"), 2)
at_edge = [name for name, (k, _) in best.items() if k in (0, len(RATES) - 1)]
print("mejor tasa en el borde de lo probado:", proper(", ".join(at_edge)) or "ninguna")

fig, ax = plt.subplots(figsize=(7, 4.2))
for name, colour in COLOURS.items():
    accuracy = measured(USUAL[name], "accuracy").mean(1)
    ax.plot(RATES, 100 * accuracy, "o-", ms=3, color=colour, label=name)
ax.set(xscale="log", xlabel="tasa de aprendizaje", ylabel="exactitud de validación (%)")
ax.set_title("Cuánto importa acertar la tasa")
ax.legend()
show(fig, "sensibilidad", "Exactitud de validación según la tasa, cada uno con sus constantes")

# %% [markdown]
# Fuera de su rango cada curva cae al azar, una de cada diez, y los rangos no coinciden: lo ancho de
# cada meseta dice cuánto importa acertar.

# %%
range_tried = np.log10(RATES[-1] / RATES[0])
rivals = [name for name in USUAL if name not in ("adam", "adamax")]
claims = [
    claim("Adam", "001:690, 003:41, 004:101, 000:92", "converge más rápido que otros",
          f"hasta la pérdida del SGD afinado, este da {sooner['adam']:.1f} veces los pasos de Adam "
          f"({sooner['momentum']:.1f} los de momentum, {sooner['rmsprop']:.1f} los de RMSProp, "
          f"{sooner['adadelta']:.1f} los de Adadelta)",
          **{f"frente_a_{rival}": decided(reach[rival] - reach["adam"]) for rival in rivals}),
    claim("RMSProp", "001:877", "oscila menos y converge más rápido que el estándar",
          "hasta la pérdida del SGD afinado, este da "
          f"{sooner['rmsprop']:.1f} veces los pasos de RMSProp",
          part="en la red", más_rápido=decided(reach["sgd"] - reach["rmsprop"])),
    claim("Adamax", "000:131", "puede converger más lento que Adam",
          f"hasta la pérdida del SGD afinado, este da {sooner['adamax']:.1f} veces los pasos de "
          f"Adamax y {sooner['adam']:.1f} los de Adam", part="en la red",
          más_lento=decided(reach["adamax"] - reach["adam"])),
    claim("SGD", "003:40, 004:48", "depende mucho de la tasa de aprendizaje",
          f"décadas de tasas con nueve décimos del mejor resultado, de {range_tried:.0f} probadas: "
          f"{width['sgd'].mean():.1f} (Adam {width['adam'].mean():.1f}, RMSProp "
          f"{width['rmsprop'].mean():.1f})",
          estrecho=decided(0.5 * range_tried - width["sgd"]),
          más_que_Adam=decided(width["adam"] - width["sgd"])),
]  # fmt: skip

# %% [markdown]
# ## Las constantes propias
#
# Para cada valor de una constante se toma su mejor tasa: lo que quede de diferencia es de la
# constante. Y se mira otra cosa que los apuntes no dicen: cuánto se pierde si **no** se reajusta la
# tasa y se deja la del valor habitual. Se compara el valor habitual con el peor y con el mejor que
# eligen las primeras semillas.


# %%
def sensitivity(name, usual, others):
    """log(peor pérdida / mejor) entre los valores de un número: con la tasa afinada, y sin ella."""
    keys = [(name, usual), *((name, other) for other in others)]
    rate = tuned(keys[0])[0]
    free = np.array([tuned(key)[1] for key in keys])
    fixed = np.array([measured(key, "loss")[rate, len(CHOOSE) :] for key in keys])
    pick = [
        [measured(key, "loss")[k, : len(CHOOSE)].mean() for key, k in zip(keys, ks, strict=True)]
        for ks in ([tuned(key)[0] for key in keys], [rate] * len(keys))
    ]
    ratios = [
        np.log(np.minimum(values[np.argmax(by)], 1e3) / values[np.argmin(by)])
        for values, by in zip((free, fixed), pick, strict=True)
    ]
    return dict(zip(("afinada", "fija"), ratios, strict=True))


numbers = {
    "β de momentum": sensitivity("momentum", (0.9,), [(0.0,), (0.5,), (0.99,)]),
    "ρ de RMSProp": sensitivity("rmsprop", (0.9,), [(0.5,), (0.99,), (0.999,)]),
    "las β de Adam": sensitivity("adam", (0.9, 0.999), [(0.0, 0.999), (0.99, 0.999), (0.9, 0.9)]),
}
typical = {key: {how: np.exp(x.mean()) for how, x in ways.items()} for key, ways in numbers.items()}
worst_to_best = pd.DataFrame(typical).T.add_prefix("tasa ")
show_table(worst_to_best.rename_axis("pérdida del peor valor / la del mejor"))
mu, rho, betas = numbers.values()
t_mu, t_rho, t_betas = typical.values()
nine, others = tuned(("momentum", (0.9,)))[1], [0.0, 0.5, 0.99]
by_mu = {m: tuned(("momentum", (m,)))[1] for m in others}
rival_mu = min(
    others, key=lambda m: measured(("momentum", (m,)), "loss")[:, : len(CHOOSE)].mean(1).min()
)
claims += [
    claim("Momentum", "000:42", "0,9 funciona bien y casi siempre va más rápido",
          f"hasta la pérdida del SGD afinado, este da {sooner['momentum']:.1f} veces los pasos de "
          f"momentum; con β = 0.9 la pérdida es {nine.mean():.3f}, y "
          f"{by_mu[rival_mu].mean():.3f} con la mejor de las otras ({rival_mu})",
          más_rápido=decided(reach["sgd"] - reach["momentum"]),
          buen_valor=decided(np.log(1.1 * by_mu[rival_mu] / nine))),
    claim("Adam", "001:696, 003:41", "sensible a β₁, β₂ y η",
          f"cociente de la pérdida de las peores β y la de las mejores: {t_betas['fija']:.1f} a "
          f"tasa fija, {t_betas['afinada']:.1f} afinando; {width['adam'].mean():.1f} décadas "
          "útiles de η",
          a_las_β_con_tasa_fija=decided(betas["fija"], np.log(1.3)),
          a_las_β_con_tasa_afinada=decided(betas["afinada"], np.log(1.3)),
          a_η=decided(0.5 * range_tried - width["adam"])),
    claim("RMSProp", "001:881", "sensible a β (aquí ρ), aunque menos que otros",
          f"cociente de la pérdida del peor ρ y la del mejor: {t_rho['fija']:.1f} a tasa fija, "
          f"{t_rho['afinada']:.1f} afinando (de las β de Adam, {t_betas['fija']:.1f} y "
          f"{t_betas['afinada']:.1f}; de la de momentum, {t_mu['fija']:.1f} y "
          f"{t_mu['afinada']:.1f})",
          influye=decided(rho["fija"], np.log(1.1)),
          menos_que_momentum=decided(mu["fija"] - rho["fija"]),
          menos_que_Adam=decided(betas["fija"] - rho["fija"])),
]  # fmt: skip

# %% [markdown]
# ## Adadelta: ¿sin tasa?
#
# El artículo la deja en uno; Keras, en una milésima. La misma red con la mejor, con la del artículo
# y con la de Keras.

# %%
key = USUAL["adadelta"]
nearest = lambda rate: int(np.argmin(np.abs(np.log(RATES / rate))))
rows = {"mejor": best["adadelta"][0], "artículo": nearest(1.0), "Keras": nearest(1e-3)}
delta = {word: measured(key, "accuracy")[k, len(CHOOSE) :] for word, k in rows.items()}
claims += [
    claim("Adadelta", "000:125, 000:135", "no necesita una tasa inicial; simplifica su ajuste",
          f"exactitud {delta['artículo'].mean():.2f} con tasa {RATES[rows['artículo']]:g}, "
          f"{delta['Keras'].mean():.2f} con {RATES[rows['Keras']]:g}, {delta['mejor'].mean():.2f} "
          f"con la mejor; {width['adadelta'].mean():.1f} décadas útiles (Adam "
          f"{width['adam'].mean():.1f})",
          part="en la red", con_la_del_artículo=decided(delta["artículo"] - delta["mejor"] + 0.03),
          con_la_de_Keras=decided(delta["Keras"] - delta["mejor"] + 0.03),
          más_ancha_que_Adam=decided(width["adadelta"] - width["adam"])),
]  # fmt: skip

# %% [markdown]
# Que «puede ser menos estable en redes profundas» pide una que lo sea: doce capas ocultas, con los
# pesos iniciales que no las apagan (lección 7.3), y las mismas tasas y semillas.

# %%
DEEP = 6 if quick() else 12


class Deep(nnx.Module):
    """Muchas capas ocultas de 24 ReLU, con la ganancia que les toca."""

    def __init__(self, *, rngs):
        held = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")
        sizes = [64, *[24] * DEEP]
        self.hidden = nnx.List(
            [nnx.Linear(n, m, kernel_init=held, rngs=rngs) for n, m in itertools.pairwise(sizes)]
        )
        self.last = nnx.Linear(24, 10, rngs=rngs)

    def __call__(self, x):
        for layer in self.hidden:
            x = jax.nn.relu(layer(x))
        return self.last(x)


# %%
rivals = ["adadelta", "adam", "sgd"]
deep = joc.sweep(
    noisy_digits(lambda rngs: Deep(rngs=rngs), train=600, seed=SEED),
    joc.grid(optimizer=rivals, learning_rate=RATES, seed=[*CHOOSE, *TELL]),
    steps=STEPS,
    batch_size=50,
    evaluate_every=STEPS,
    progress=False,
).trials
fell = deep["status"].ne("finished").to_numpy().reshape(len(rivals), *shape)
right = deep["valid_accuracy"].astype(float).to_numpy().reshape(len(rivals), *shape)
right = np.where(fell, 0.1, right)
broken = dict(zip(rivals, fell[..., len(CHOOSE) :].mean((1, 2)), strict=True))
at = right[..., : len(CHOOSE)].mean(-1).argmax(1)  # la tasa que prefieren las que eligen
told = {name: right[k, at[k], len(CHOOSE) :] for k, name in enumerate(rivals)}
show_table(
    pd.DataFrame(
        {
            "mejor tasa": {name: RATES[k] for name, k in zip(rivals, at, strict=True)},
            "exactitud": {name: values.mean() for name, values in told.items()},
            "divergen (%)": {name: 100 * part for name, part in broken.items()},
        }
    ).rename_axis(f"{DEEP} capas"),
    2,
)
assert quick() or min(values.mean() for values in told.values()) > 0.5  # todos aprenden

gap = told["adam"] - told["adadelta"]
claims += [
    claim("Adadelta", "000:126", "puede ser menos estable en redes profundas",
          f"{DEEP} capas ocultas: diverge el {broken['adadelta']:.0%} (SGD {broken['sgd']:.0%}, "
          f"Adam {broken['adam']:.0%}); con la mejor tasa acierta {100 * abs(gap.mean()):.1f} "
          f"puntos {'menos' if gap.mean() > 0 else 'más'} que Adam",
          diverge_más=broken["adadelta"] > max(broken["adam"], broken["sgd"]),
          queda_peor=decided(gap, 0.03)),
]  # fmt: skip

# %% [markdown]
# ## Lo que cuesta cada uno
#
# `joc.audit` dice cuántos bytes de memoria guarda un optimizador, sin calcular nada; el
# compilador, cuántas operaciones hace por peso. Al lado, las del gradiente.

# %%
recipes = {
    "sgd": joc.sgd(0.1), "momentum": joc.momentum(0.1), "rmsprop": joc.rmsprop(0.1),
    "adagrad": joc.adagrad(0.1), "adadelta": joc.adadelta(1.0), "adamax": joc.adamax(0.1),
    "adam": joc.adam(0.1), "adamw": joc.adamw(0.1),
}  # fmt: skip

# %%
vector = jnp.zeros(10_000)


def price(tx):
    """Bytes de memoria y operaciones de una actualización, por peso."""
    state = tx.init(vector)
    size = int(joc.audit(tx, vector)["state_bytes"].iloc[-1])
    update = lambda g, state, w: joc.apply_updates(w, tx.update(g, state, w)[0])
    flops = jax.jit(update).lower(vector, state, vector).cost_analysis()["flops"]
    return size / vector.size, flops / vector.size


prices = pd.DataFrame(
    {name: price(tx) for name, tx in recipes.items()}, index=["bytes", "operaciones"]
)
params = task.init(jax.random.key(SEED))[0]
batch = jax.tree.map(lambda leaf: jnp.asarray(leaf[:32]), task.train)
gradient = jax.grad(lambda params: task.loss(params, {}, batch, jax.random.key(0))[0])
weights = sum(leaf.size for leaf in jax.tree.leaves(params))
of_gradient = jax.jit(gradient).lower(params).cost_analysis()["flops"] / weights
memory, work = prices.loc["bytes"], prices.loc["operaciones"]
show_table(prices.T.round(1).rename_axis("por peso"))
print(f"el gradiente, con lote de 32: {of_gradient:.0f} operaciones por peso")
share = work["adam"] / of_gradient
claims += [
    claim("SGD", "003:40", "simple y de bajo costo",
          f"{work['sgd']:.0f} operaciones y {memory['sgd']:.0f} bytes por peso, los menores "
          "de todos",
          operaciones=work.idxmin() == "sgd", memoria=memory.idxmin() == "sgd"),
    claim("Momentum", "001:545", "más cálculo y memoria, aunque poco",
          f"{memory['momentum']:.0f} bytes más por peso, lo que ocupan los pesos; "
          f"{work['momentum']:.0f} operaciones por peso frente a {of_gradient:.0f} del gradiente",
          más_memoria=memory["momentum"] > memory["sgd"] + 3,
          poco_cálculo=work["momentum"] < 0.1 * of_gradient,
          poca_memoria=memory["momentum"] < 2),
    claim("Momentum", "000:42", "el único inconveniente es un hiperparámetro más",
          f"cociente de la pérdida del peor β y la del mejor: {t_mu['fija']:.1f} a tasa fija, "
          f"{t_mu['afinada']:.1f} afinando; y {memory['momentum']:.0f} bytes más por peso",
          hay_que_ajustarlo=decided(mu["fija"], np.log(1.3)),
          es_el_único=memory["momentum"] == memory["sgd"]),
    claim("Adam", "001:692", "eficiente en memoria y cálculo",
          f"sus operaciones son el {share:.0%} de las del gradiente; su memoria, "
          f"{memory['adam']:.0f} bytes por peso: el doble de lo que ocupan los pesos",
          cálculo=share < 0.2, memoria=memory["adam"] < 4),
    claim("Adam", "004:107", "mayor costo computacional",
          f"{work['adam']:.0f} operaciones por peso frente a {work['sgd']:.0f} de SGD: un "
          f"{share:.0%} del gradiente con lote 32",
          part="por peso", al_actualizar=work["adam"] > 2 * work["sgd"],
          en_el_total_del_cálculo=share > 0.2),
]  # fmt: skip

# %% [markdown]
# ## El cuadro
#
# Lo que es **cuenta** —operaciones, memoria— no tiene matices y suele ser poco al lado del
# gradiente. Lo que es **velocidad** depende de contra quién. Y buena parte de la **sensibilidad** a
# las constantes que se ve a tasa fija es de la tasa.

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - Adam llega antes que SGD afinado en esta red, y su tasa perdona más.
# - Casi toda la sensibilidad a $\rho$ y a $\beta$ que se ve con la tasa fija es de la tasa.
# - «Sin tasa» no lo es: Adadelta con la del artículo aprende, y con la de Keras no.
# - El cálculo de cualquiera es poco al lado del gradiente; la memoria de Adam, dos veces los pesos.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice cuántas décadas útiles tendría SGD con la mitad de capas; cambia `DEPTH` y compruébalo.
# 2. Pide nueve décimos de la mejor exactitud y luego 0,99. ¿Cambia el orden de los anchos?
# 3. Escribe la fila de `recipes` de otro optimizador de la biblioteca y predice sus bytes por peso.
# 4. Demuestra que multiplicar todos los gradientes por una constante no cambia los pasos de Adam
#    con $\varepsilon=0$, y di qué le hace a la tasa útil de SGD.
#
# ## Para leer más
#
# - Zeiler (2012), «ADADELTA: An Adaptive Learning Rate Method».
# - Sivaprasad y otros (2020), «Optimizer Benchmarking Needs to Account for Hyperparameter Tuning».
# - Schmidt, Schneider y Hennig (2021), «Descending through a Crowded Valley».
