# %% [markdown]
# # 13.4. Ventajas y desventajas: el tamaño del lote
#
# Rápido y ruidoso con un ejemplo, preciso y caro con todos, y en medio el mini-lote: de eso hablan
# más líneas de los apuntes que de ningún otro asunto. Se mide en una regresión, donde el mínimo se
# conoce; lo que cuesta una actualización se pregunta al compilador; y si el ruido generaliza mejor
# se ve en una red. El cuadro final se lee como en la parte 13.1.
#
# **Al terminar sabrás** comparar tamaños de lote por los ejemplos que miran y no por los pasos que
# dan; decir por qué el ruido de una tasa constante no se va; qué paga una actualización además de
# operaciones.
#
# **Hace falta** las lecciones [1](01_descenso_de_gradiente.py) y [8.2](08_2_tasa_y_lote.py), y la
# [parte 13.1](13_1_velocidad_y_escala.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided, interval, spanish
from jaxopt_course.course.digits import noisy_digits
from jaxopt_course.course.verdicts import show_claims

joc.use_cpu_cores(1 if quick() else None)
SEED = 0

# %% [markdown]
# ## Una regresión con el mínimo a la vista
#
# Varios conjuntos de datos $y=x^\top w+$ ruido, y en cada uno lotes de 1, de 32 y de todos los
# ejemplos. El exceso de pérdida sobre su mínimo es exacto,
# $(w-w^*)^\top\tfrac1N X^\top X\,(w-w^*)$, y se apunta tras **cada** actualización. Lo que se
# paga son los **ejemplos mirados**. Unos conjuntos eligen la tasa y otros informan.

# %%
SETS, N, FEATURES = 8 if quick() else 16, 1024, 8
SIZES, BUDGET = [1, 32, N], {1: 4 * N, 32: 4 * N, N: 40 * N}  # ejemplos que se miran
RATES = np.geomspace(1e-3, 2, 12 if quick() else 23)

# %%
draw = np.random.default_rng(SEED)
x = draw.normal(size=(SETS, N, FEATURES)).astype(np.float32)
y = np.einsum("snf,sf->sn", x, draw.normal(size=(SETS, FEATURES))) + 0.5 * draw.normal(
    size=(SETS, N)
)
y = y.astype(np.float32)
best = np.stack([np.linalg.lstsq(*data, rcond=None)[0] for data in zip(x, y, strict=True)])
H = np.einsum("snf,sng->sfg", x, x) / N


def excess(w, best, H):
    return (w - best) @ H @ (w - best)


def train(rate, start, x, y, best, H, order):
    """El exceso de pérdida tras cada actualización, con las filas de ``order[update]``."""
    tx = joc.sgd(rate)

    def step(carry, rows):
        w, state = carry
        g = jax.grad(lambda w: jnp.mean((x[rows] @ w - y[rows]) ** 2))(w)
        u, state = tx.update(g, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), excess(w, best, H)

    return jax.lax.scan(step, (start, tx.init(start)), order)[1]


over_sets = jax.vmap(train, (None, 0, 0, 0, 0, 0, 0))
many = jax.jit(jax.vmap(over_sets, (0, *[None] * 6)))
zeros = np.zeros((SETS, FEATURES), np.float32)
orders = {
    batch: np.stack(
        [
            np.concatenate([draw.permutation(N) for _ in range(BUDGET[batch] // N)])
            for _ in range(SETS)
        ]
    ).reshape(SETS, -1, batch)
    for batch in SIZES
}
first = np.einsum("sf,sfg,sg->s", best, H, best)
runs, noise = {}, {}
SAME_RATES = np.array([0.01, 0.03])
for batch, order in orders.items():
    left = np.asarray(many(RATES, zeros, x, y, best, H, order))  # (tasa, conjunto, actualización)
    runs[batch] = np.where(np.isfinite(left), left, np.inf) / first[:, None]
    around = np.asarray(many(SAME_RATES, best.astype(np.float32), x, y, best, H, order))
    noise[batch] = around[..., around.shape[-1] // 2 :].mean(-1)  # (tasa, conjunto), del mínimo


def looked_at(batch, share=0.01):
    """Ejemplos hasta que el exceso baja de una parte del primero, por tasa y conjunto; o inf."""
    below = runs[batch] <= share
    return np.where(below.any(-1), (below.argmax(-1) + 1.0) * batch, np.inf)


choosing, reporting = slice(0, SETS // 2), slice(SETS // 2, None)
pick = {batch: np.median(looked_at(batch)[:, choosing], axis=1).argmin() for batch in SIZES}
assert all(0 < k < len(RATES) - 1 for k in pick.values())  # ninguna en el borde
logs = {batch: np.log(looked_at(batch)[pick[batch], reporting]) for batch in SIZES}
need = {batch: np.exp(values.mean()) for batch, values in logs.items()}
done = {batch: looked_at(batch)[pick[batch], reporting] <= N for batch in SIZES}
stays = {batch: runs[batch][..., -1] < 1 for batch in SIZES}  # por debajo de donde empezó
limit = {batch: np.log10(np.max(RATES[:, None] * stays[batch], axis=0)) for batch in SIZES}
rises = {
    batch: (np.diff(runs[batch][np.abs(RATES - 0.01).argmin()][:, :100]) > 0).mean(-1)
    for batch in SIZES
}
pulls = 2 * x * -y[..., None]  # el gradiente de cada ejemplo al empezar
variance = pulls.var(1).sum(-1)  # de uno; de la media de b, sacados sin reposición:
scatter = {b: float(np.sqrt(variance / b * (N - b) / (N - 1)).mean()) for b in SIZES}
summary = pd.DataFrame(
    {
        "ejemplos hasta el 1 %": need,
        "mayor tasa estable": {batch: 10 ** x.mean() for batch, x in limit.items()},
        "parte de los pasos que suben": {batch: x.mean() for batch, x in rises.items()},
        "desviación del gradiente": scatter,
    }
)
show_table(summary.rename_axis("lote"))

fig, ax = plt.subplots(figsize=(7, 4))
for batch, colour in zip(SIZES, ["#E69F00", "#0072B2", "#009E73"], strict=True):
    lines = runs[batch][pick[batch], reporting]
    seen = np.arange(1, lines.shape[1] + 1) * batch
    label = spanish(f"lote de {batch:,}, η = {RATES[pick[batch]]:.2g}")
    ax.plot(seen, np.median(lines, 0), color=colour, label=label, lw=1.5)
ax.axhline(0.01, color="#777777", ls=":", lw=1)
ax.set(xscale="log", yscale="log", ylim=1e-6)
ax.set(xlabel="ejemplos mirados", ylabel="exceso / el inicial")
ax.set_title("El mismo trabajo, repartido en lotes distintos")
ax.legend()
show(fig, "lotes", "El exceso de pérdida según los ejemplos mirados, con tres tamaños de lote")

# %% [markdown]
# Con un ejemplo por paso se llega antes al uno por ciento y no se baja de ahí; con 32 se tarda algo
# más y se queda algo más abajo; con todos se tarda mucho más y se llega al fondo. El ruido con tasa
# constante no se va nunca; si la tasa baja como $1/t$, sí.

# %%
falling = jax.jit(
    jax.vmap(lambda *data: train(lambda t: 0.03 / (1 + 0.03 * t), *data), (0, 0, 0, 0, 0, 0))
)(best.astype(np.float32), x, y, best, H, orders[1])
fallen = np.asarray(falling)[:, falling.shape[1] // 2 :].mean(-1)

# %%
level = {batch: noise[batch].mean(-1) for batch in SIZES}
around = pd.DataFrame(level, SAME_RATES).add_prefix("lote de ")
show_table(around.rename_axis("exceso con tasa"), 2)
assert fallen.mean() < level[1][1] / 3

fewer = (
    f"hasta el 1 %: {need[1]:,.0f} ejemplos con lote 1, {need[32]:,.0f} con 32 y "
    f"{need[N]:,.0f} con todos"
)
left_over = (
    f"exceso a la misma tasa: {level[1][0]:.1e} con lote 1, {level[32][0]:.1e} con 32 y "
    + (f"{level[N][0]:.1e}" if level[N][0] > 1e-9 else "menos de una milmillonésima") + " con todos"
)  # fmt: skip
sooner = decided(logs[N] - logs[1])
claims = [
    claim("SGD", "001:116, 000:15, 002:515", "rápido: llega antes que el lote completo", fewer,
          antes=sooner),
    claim("SGD", "002:515", "mejora a menudo, y se la puede seguir con detalle",
          f"{N // 1:,} actualizaciones por época con lote 1, {N // 32} con 32 y {N // N} con "
          f"todos; en la primera época llega al 1 % el {done[1].mean():.0%} de los conjuntos con "
          f"lote 1 y el {done[N].mean():.0%} con todos",
          más_a_menudo=done[1].mean() > done[N].mean()),
    claim("SGD", "001:121, 004:47", "ruidoso: oscila alrededor del mínimo", left_over,
          ruido=decided(noise[1][0] - 10 * noise[N][0])),
    claim("SGD", "002:520", "el ruido hace que el error suba a veces en vez de bajar",
          f"con tasa 0.01 suben la pérdida el {rises[1].mean():.0%} de los primeros pasos con "
          f"lote 1 y el {rises[N].mean():.0%} con todos", sube=decided(rises[1] - rises[N], 0.05)),
    claim("SGD", "002:521", "oscila en torno al óptimo; converge si la tasa tiende a cero",
          f"exceso {level[1][1]:.1e} con tasa constante y {fallen.mean():.1e} con una que baja "
          "como 1/t", oscila=decided(noise[1][1] - 10 * noise[N][1]),
          la_tasa_lo_arregla=decided(noise[1][1] - 3 * fallen)),
    claim("Lote completo", "001:220, 002:505", "actualizaciones y convergencia estables",
          left_over, estable=decided(noise[1][0] - 10 * noise[N][0])),
    claim("Lote completo", "001:221", "gradiente más preciso",
          f"desviación del gradiente {scatter[1]:.1f} con lote 1, {scatter[32]:.2f} con 32, "
          "cero con todos", preciso=scatter[N] < scatter[32] < scatter[1]),
    claim("Lote completo", "001:226", "convergencia más lenta que SGD", fewer, lento=sooner),
    claim("Mini-lote", "001:371, 002:525", "equilibrio entre precisión y velocidad",
          f"{fewer}; {left_over}",
          más_rápido_que_todos=decided(logs[N] - logs[32]),
          menos_ruido_que_uno=decided(noise[1][0] - noise[32][0])),
    claim("Mini-lote", "001:377", "el tamaño importa: pequeño inestable, grande como el completo",
          f"mayor tasa estable: {10 ** limit[1].mean():.2f} con lote 1, "
          f"{10 ** limit[32].mean():.2f} con 32 y {10 ** limit[N].mean():.2f} con todos; {fewer}",
          pequeño_menos_estable=decided(limit[32] - limit[1]),
          grande_más_lento=decided(logs[N] - logs[32])),
    claim("Mini-lote", "001:378", "quedan oscilaciones, más si la tasa es alta",
          f"exceso con lote 32: {level[32][0]:.1e} con tasa 0.01 y {level[32][1]:.1e} con 0.03",
          quedan=decided(noise[32][0] - 3 * noise[N][0]),
          crecen=decided(noise[32][1] - noise[32][0])),
]  # fmt: skip

# %% [markdown]
# ## Lo que cuesta una actualización
#
# El gradiente de una red de una capa oculta, y el paso que sigue, compilados para lotes de 1, 32 y
# 600. El compilador cuenta las operaciones, la memoria de trabajo y los bytes que se leen y se
# escriben. Un reloj mediría además lo ocupada que esté la máquina; estas cuentas son siempre las
# mismas. Los bytes son los que deciden entre lotes: leer y renovar todos los pesos cuesta lo mismo
# para un ejemplo que para seiscientos.

# %%
task = noisy_digits(lambda rngs: joc.MLP(64, 32, 10, rngs=rngs), train=600, valid=400, seed=SEED)
params, state = task.init(jax.random.key(SEED))
weights = sum(leaf.size for leaf in jax.tree.leaves(params))


def cost_of(batch):
    """Operaciones y bytes de trabajo de un paso de SGD, y bytes que mueve, por ejemplo."""
    data = jax.tree.map(lambda leaf: jnp.asarray(leaf[:batch]), task.train)
    loss = lambda params: task.loss(params, state, data, jax.random.key(0))[0]
    step = lambda params: jax.tree.map(lambda w, g: w - 0.1 * g, params, jax.grad(loss)(params))
    compiled = jax.jit(step).lower(params).compile()
    counted = compiled.cost_analysis()
    scratch = compiled.memory_analysis().temp_size_in_bytes
    return counted["flops"], scratch, counted["bytes accessed"] / batch


kinds = ["operaciones", "bytes de trabajo", "bytes movidos por ejemplo"]
cost = pd.DataFrame({batch: cost_of(batch) for batch in (1, 32, 600)}, index=kinds).T
show_table(cost.rename_axis("lote"), 4)
work, scratch, moved = (cost[kind] for kind in kinds)
dear = f"{work[600] / work[32]:.0f} veces las operaciones de un lote de 32"
traffic = (
    f"bytes movidos por ejemplo: {moved[1]:,.0f} con lote 1, {moved[32]:,.0f} con 32 y "
    f"{moved[600]:,.0f} con 600"
)
claims += [
    claim("SGD", "001:117, 004:42", "cada actualización pide menos cálculo y memoria",
          f"red de {weights:,} pesos: {work[600] / work[1]:.0f} veces menos operaciones y "
          f"{scratch[600] / scratch[1]:.0f} veces menos memoria que con 600 ejemplos",
          cálculo=work[600] > 20 * work[1], memoria=scratch[600] > 2 * scratch[1]),
    claim("SGD", "002:516", "actualizar tan a menudo sale más caro", traffic,
          por_ejemplo=moved[1] > 2 * moved[600],
          por_actualización=moved[1] > 600 * moved[600]),
    claim("Lote completo", "001:225", "cada actualización es costosa", dear,
          cálculo=work[600] > 10 * work[32]),
    claim("Lote completo", "001:227, 002:510", "no escala: todo en memoria, y tiempo",
          f"600 ejemplos frente a 32: {dear} y {scratch[600] / scratch[32]:.0f} veces su memoria",
          cálculo=work[600] > 10 * work[32], memoria=scratch[600] > 4 * scratch[32]),
    claim("Lote completo", "002:505", "eficiente en cálculo", traffic,
          por_ejemplo=moved[600] < moved[32], por_actualización=work[600] < 2 * work[32]),
    claim("Mini-lote", "001:372", "uso más eficiente del equipo", traffic,
          frente_a_uno=moved[1] > 1.5 * moved[32],
          frente_a_todos=moved[600] > 1.5 * moved[32]),
]  # fmt: skip

# %% [markdown]
# ## ¿El ruido generaliza mejor?
#
# La misma red con parte de las etiquetas de entrenamiento cambiadas al azar, SGD con lotes de 50 y
# con los 600, y el mismo número de pasos: comparar así favorece al lote completo, que mira doce
# veces más ejemplos. Unas semillas eligen la tasa en validación; otras, con los mismos pesos
# iniciales para los dos, informan en prueba.

# %%
chosen_by, told_by = (range(2), range(2, 5)) if quick() else (range(4), range(4, 16))
net_rates = np.geomspace(0.05, 3.2, 3 if quick() else 7)
grid = joc.grid(
    optimizer="sgd", learning_rate=net_rates, seed=[*chosen_by, *told_by], batch_size=[50, 600]
)
study = joc.sweep(
    task,
    grid,
    steps=72 if quick() else 300,
    equal="steps",
    static=["batch_size"],
    evaluate_every=36 if quick() else 100,
    progress=False,
)
trials = study.trials.astype({"learning_rate": float, "seed": int, "batch_size": int})
trials.loc[trials["status"].ne("finished"), ["valid_accuracy", "test_accuracy"]] = 0.1  # adivina
by = trials[trials["seed"].isin(chosen_by)].groupby(["batch_size", "learning_rate"])
tuned = by["valid_accuracy"].mean().unstack(0).idxmax()
told = {
    batch: trials[trials["batch_size"].eq(batch) & trials["learning_rate"].eq(tuned[batch])]
    .set_index("seed")["test_accuracy"][list(told_by)].to_numpy(float)
    for batch in (50, 600)
}  # fmt: skip
better = interval(told[50] - told[600])
for batch, rate in tuned.items():
    print(spanish(f"mejor tasa con lote de {batch}: {rate:.2g}"))
points = f"{100 * better[0]:+.1f} ± {100 * better[1]:.1f} puntos"
print(spanish(f"exactitud de prueba, lote de 50 menos completo: {points}"))
claims.append(
    claim("Mini-lote", "001:373", "el ruido mejora la generalización",
          f"exactitud de prueba {told[50].mean():.3f} con lote 50 y {told[600].mean():.3f} con el "
          f"completo: {points}",
          generaliza=decided(told[50] - told[600]))
)  # fmt: skip

# %% [markdown]
# ## El cuadro

# %%
show_claims(claims)

# %% [markdown]
# ## En resumen
#
# - En ejemplos mirados, los lotes pequeños llegan antes cerca del mínimo; los grandes, más abajo.
# - El ruido de una tasa constante no se va: o baja la tasa, o crece el lote.
# - Actualizar por cada ejemplo mueve muchos más bytes por ejemplo, aunque cada paso sea barato.
# - Que el ruido generalice mejor no se ve en esta red con estas semillas.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice la desviación del gradiente con lotes de 128, y compruébala con la fórmula sin
#    reposición.
# 2. Añade un lote de 4. ¿Dónde queda entre los otros en ejemplos hasta el uno por ciento?
# 3. ¿Qué pasa con el exceso si la tasa baja como $1/\sqrt t$ en vez de $1/t$?
# 4. Demuestra que la media de $B$ gradientes elegidos sin reposición de $N$ tiene varianza
#    $\frac{\sigma^2}{B}\cdot\frac{N-B}{N-1}$.
#
# ## Para leer más
#
# - Bottou, Curtis y Nocedal (2018), «Optimization Methods for Large-Scale Machine Learning».
# - McCandlish y otros (2018), «An Empirical Model of Large-Batch Training».
# - Shallue y otros (2019), «Measuring the Effects of Data Parallelism on Neural Network Training».
