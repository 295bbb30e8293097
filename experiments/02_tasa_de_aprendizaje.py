# %% [markdown]
# # 2. La tasa de aprendizaje: hasta dónde se puede, y cómo bajarla
#
# $\eta$ decide el tamaño del paso. Todo el mundo pide que no sea demasiado baja ni demasiado alta;
# aquí se ve que «demasiado alta» es un número exacto, $2/L$, que se puede calcular antes de
# entrenar, y que «bajarla a cero» no basta: importa a qué ritmo.
#
# **Al terminar sabrás** calcular la mayor tasa estable, $2/L$, y la mejor, $2/(L+\mu)$; leer el
# mapa de $(\eta,\beta)$ y decir dónde está su óptimo; bajar la tasa sin pararse antes de tiempo.
#
# **Hace falta** la [lección 1](01_descenso_de_gradiente.py) y qué es un valor propio.

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import name_lines, quick, show, show_table
from jaxopt_course.course.walks import follow, walk
from jaxopt_course.report import landscape

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## Una parábola
#
# Sea $f(w)=\tfrac12 L w^2$, de curvatura $L$. Su gradiente es $Lw$, y un paso de descenso es
#
# $$w \leftarrow w-\eta L w = (1-\eta L)\,w$$
#
# Cada paso multiplica por el mismo factor. Se converge si y solo si $|1-\eta L|<1$, es decir, si
# $0<\eta<2/L$. Dentro de ese intervalo hay tres conductas: hasta $1/L$ se baja por un solo lado,
# con $\eta=1/L$ se llega en un paso, y de $1/L$ a $2/L$ se salta de un lado al otro del valle.


# %%
def descend(w, L, eta, steps):
    """Descenso de gradiente en L w² / 2: w y lo que hace de él cada paso."""
    path = [w]
    for _ in range(steps):
        path.append(path[-1] - eta * L * path[-1])
    return np.array(path)


# %%
L = 4.0
products = {"$\\eta L=0.2$": 0.2, "1": 1.0, "1.8": 1.8, "2": 2.0, "2.1": 2.1}
for product in products.values():
    ours = descend(1.0, L, product / L, 60)
    library = follow(joc.sgd(product / L), lambda w, t: L * w, 1.0, 60)
    assert np.max(abs(ours - library) / np.maximum(1, abs(ours))) < 1e-12

fig, ax = plt.subplots(figsize=(7, 4))
for (name, product), colour in zip(products.items(), (BLUE, GREEN, ORANGE, PINK, RED), strict=True):
    ax.plot(descend(1.0, L, product / L, 12), ".-", color=colour, label=name)
ax.axhline(0, color="0.6", lw=0.8)
ax.set(xlabel="paso", ylabel="$w$", ylim=(-3.4, 4.6), title="El mismo valle, cinco tasas")
ax.legend(frameon=False, ncols=5, loc="upper center", columnspacing=1)
show(fig, "parabola")

last = {product: descend(1.0, L, product / L, 12)[-1] for product in products.values()}
print("w tras 12 pasos:", ", ".join(f"{w:.2g} (ηL = {product})" for product, w in last.items()))
assert last[1.0] == 0 and last[2.0] == 1  # en un paso; y de un lado a otro, para siempre
assert 0 < last[0.2] < 1 and abs(last[1.8]) < 1 < abs(last[2.1])

# %% [markdown]
# ## La recta de los apuntes
#
# Con más de un parámetro, la curvatura depende de la dirección: las curvaturas son los valores
# propios de la matriz de segundas derivadas. Manda la mayor, $L$, porque basta con que diverja
# *una* dirección; y la menor, $\mu$, fija cuánto se tarda. La mejor tasa constante equilibra ambas:
# $\eta^*=2/(L+\mu)$.
#
# Para la recta de los cinco puntos se calculan antes de entrenar. Después, un barrido la entrena
# con cada tasa de una rejilla, todas en un mismo programa: en Keras o PyTorch sería un bucle con un
# entrenamiento por tasa.

# %%
line = joc.load_task("line")
x = np.float64(line.train["inputs"][:, 0])
hessian = 2 * np.array([[np.mean(x * x), np.mean(x)], [np.mean(x), 1]])
mu, L = np.linalg.eigvalsh(hessian)
print(f"L = {L:.3f}, μ = {mu:.4f}: estable hasta 2/L = {2 / L:.5f}, mejor {2 / (L + mu):.5f}")

# 2.37: con 2.4 la rejilla tendría el propio 2 / L, que ni converge ni diverge
rates = np.linspace(0, 2.37 / L, 121 if quick() else 481)[1:]
steps = 240
study = joc.sweep(
    line, joc.grid(learning_rate=rates), "sgd", steps=steps, batch_size=5,
    evaluate_every=steps // 2, progress=False,
)  # fmt: skip
half, end = study.curves["valid_loss"].values.T
start = jax.jit(lambda: line.evaluate(*line.init(jax.random.key(0)), line.train)["loss"])()
stable = end < half  # NaN, el de las que desbordaron, no lo es
edge = rates[stable].max()
print(f"mayor tasa de la rejilla que converge: {edge:.5f}; cada casilla mide {rates[0]:.5f}")
assert np.all(stable[rates <= edge]) and abs(edge - 2 / L) <= rates[0]

# %% [markdown]
# Qué mirar: la curva baja despacio, porque una tasa pequeña desperdicia pasos, y sube de golpe. El
# mejor valor está pegado al precipicio, y pasarse un poco cuesta mucho más que quedarse corto. (Es
# la curva de *este* problema: aquí $\mu$ es mucho menor que $L$, y por eso $2/(L+\mu)$ casi toca
# $2/L$.)
#
# Lo que estalla es la pérdida en los propios datos de entrenamiento: es divergencia, no sobreajuste
# (errata E28, en la [lección 10.5](10_5_lotes_y_convergencia.py)).

# %%
fig, ax = plt.subplots(figsize=(7, 4.2))
ax.semilogy(rates[stable], end[stable], "-", color=BLUE, lw=2, label="converge")
grown = np.where(np.isfinite(end), end, np.nan)[~stable]
ax.semilogy(rates[~stable], np.minimum(grown, 1e4), "x", color=RED, ms=5, label="diverge")
ax.axhline(start, color="0.5", lw=0.8)
ax.text(0, start * 1.3, "pérdida inicial", color="0.35")
ax.axvline(2 / L, color="black", ls="--")
ax.text(1.01 * 2 / L, 1e-9, "$2/L$")
ax.axvline(2 / (L + mu), color=GREEN, ls=":")
ax.text(2 / (L + mu), 1e-4, "$2/(L+\\mu)$ ", ha="right", color=GREEN)
ax.set(xlabel="tasa de aprendizaje $\\eta$", ylabel=f"pérdida tras {steps} pasos")
ax.set(ylim=(1e-11, 1e4))
ax.legend(frameon=False, loc="lower left")
show(fig, "borde")

fastest = rates[np.nanargmin(np.where(stable, end, np.nan))]
print(f"mejor tasa medida: {fastest:.5f}")
assert abs(fastest / (2 / (L + mu)) - 1) < 0.15
worse = study.trials.loc[rates > 1.1 * 2 / L]
assert np.all(~(worse["train_loss"] < start))  # explota la propia pérdida de entrenamiento
less, more = (np.abs(rates - factor * fastest).argmin() for factor in (0.95, 1.05))
assert stable[less] and not stable[more]  # quedarse un 5 % corto cuesta poco; pasarse un 5 %, todo

# %% [markdown]
# ## Con momentum: un mapa de $(\eta,\beta)$
#
# El momentum (lección 3) añade una memoria, $m\leftarrow\beta m+g$, $w\leftarrow w-\eta m$. Sobre
# la parábola, cada paso es una matriz fija que actúa sobre $(w, m)$, y hay convergencia si sus dos
# valores propios tienen módulo menor que uno. Eso ocurre justo cuando
#
# $$0<\eta L<2(1+\beta),\qquad 0\le\beta<1$$
#
# La memoria no estrecha el intervalo: lo *ensancha*, hasta casi el doble. Se comprueba con un tazón
# de curvaturas $L=1$ y $\mu=0{,}01$, un entrenamiento por casilla, todos en un programa compilado.


# %%
def step(w, m, eta, beta, curvature):
    """Un paso de momentum en una cuadrática."""
    m = beta * m + curvature * w
    return w - eta * m, m


curvature = np.array([1.0, 0.01])
for eta, beta in [(0.5, 0.0), (1.0, 0.9), (3.3, 0.67)]:
    w, m, ours = np.ones(2), np.zeros(2), [np.ones(2)]
    for _ in range(100):
        w, m = step(w, m, eta, beta, curvature)
        ours.append(w)
    library = follow(joc.momentum(eta, beta), lambda w, t: curvature * w, np.ones(2), 100)
    assert np.max(abs(np.array(ours) - library)) < 1e-12


# %%
def half_square(params):
    return 0.5 * jnp.sum(curvature.astype(np.float32) * params["w"] ** 2)


bowl = joc.Task(
    name="bowl",
    init=lambda key: ({"w": jnp.ones(2)}, {}),
    loss=lambda params, state, batch, key: (half_square(params), (state, {})),
    evaluate=lambda params, state, data: {"loss": half_square(params)},
    train=np.zeros(1), valid=np.zeros(1), test=np.zeros(1),  # una superficie no necesita datos
    metrics={"loss": "min"},
)  # fmt: skip

side, steps = (100 if quick() else 200), 300
cell = 4.4 / side
etas, betas = cell * np.arange(1, side + 1), np.arange(side) / side
trials = joc.grid(momentum=betas, learning_rate=etas)
begin = time.perf_counter()
study = joc.sweep(
    bowl, trials, "momentum", steps=steps, batch_size=1, evaluate_every=steps // 2,
    lanes=1000, progress=False,  # dos números por entrenamiento: caben muchos a la vez
)  # fmt: skip
seconds = time.perf_counter() - begin
many = f"{len(trials):,} entrenamientos".replace(",", "\u202f")
print(f"{many} de {steps} pasos en {seconds:.1f} s, compilación incluida")

# %% [markdown]
# Un entrenamiento cuenta como estable si la pérdida media de su segunda mitad es menor que la de la
# primera. En cada fila de $\beta$, la última casilla estable debe caer a menos de una casilla de la
# frontera teórica.

# %%
first, second = study.curves["train_loss"].values.T.reshape(2, side, side)  # (beta, eta)
stable = second < first
measured = np.where(stable, etas, 0).max(axis=1)
theory = np.minimum(2 * (1 + betas), etas[-1])  # L = 1
print(f"mayor distancia a la frontera teórica: {abs(measured - theory).max() / cell:.2f} casillas")
assert np.all(stable == (etas <= measured[:, None]))  # sin agujeros ni islas
assert np.all(abs(measured - theory) <= cell * (1 + 1e-9))

root_L, root_mu = np.sqrt(curvature)
best = {"eta": 4 / (root_L + root_mu) ** 2, "beta": ((root_L - root_mu) / (root_L + root_mu)) ** 2}
begun = half_square({"w": np.ones(2)})
speed = np.where(stable, np.log10(np.maximum(second, 1e-37) / begun), np.nan)
row, column = np.unravel_index(np.nanargmin(speed), speed.shape)
print(f"mejor casilla: η = {etas[column]:.2f}, β = {betas[row]:.3f}; teoría: ", end="")
print(f"η = {best['eta']:.2f}, β = {best['beta']:.3f}")

# %% [markdown]
# El color dice cuánto bajó la pérdida, en potencias de diez. Qué mirar:
#
# - la frontera: lo blanco diverge, y la línea teórica lo separa casilla a casilla;
# - abajo ($\beta=0$) está el descenso simple, con su límite $2/L$ y lento en *todas* partes: la
#   dirección de curvatura $\mu$ apenas avanza;
# - el pico: lo más rápido está cerca de $\eta^*=4/(\sqrt L+\sqrt\mu)^2$,
#   $\beta^*=\big(\tfrac{\sqrt L-\sqrt\mu}{\sqrt L+\sqrt\mu}\big)^2$, donde ninguna tasa sin memoria
#   podría estar;
# - arriba, con $\beta$ casi uno, todo converge otra vez despacio: demasiada memoria oscila mucho.
#
# **Con las manos:** <a href="manos_mapa.html">el mismo mapa bajo el ratón</a>, con el camino de
# cada casilla.

# %%
edge = {"$\\eta L=2(1+\\beta)$": (2 * (1 + betas), betas)}
fig, ax = plt.subplots(figsize=(7, 4.8))
landscape.stability_map(ax, etas, betas, speed, boundaries=edge)
ax.text(3.3, 0.3, "diverge")
ax.plot(best["eta"], best["beta"], "*", color="white", mec="black", ms=16)
ax.set(xlabel="tasa de aprendizaje $\\eta$ (con $L=1$)", ylabel="momentum $\\beta$")
ax.set(title=f"{many} en {seconds:.1f} s")
ax.legend(loc="lower right")
fig.axes[-1].set_ylabel("pérdida en la segunda mitad / inicial, $\\log_{10}$")
show(fig, "mapa")

plain, fastest_all = np.nanmin(speed[0]), np.nanmin(speed)
print(f"la pérdida baja {-plain:.1f} décadas sin memoria y {-fastest_all:.1f} en lo mejor del mapa")
assert fastest_all < plain - 5 and np.nanmin(speed[-1]) > fastest_all + 10
assert abs(etas[column] - best["eta"]) < 0.5 and abs(betas[row] - best["beta"]) < 0.1

# %% [markdown]
# ## Bajar la tasa: decadencia progresiva
#
# Con datos ruidosos y $\eta$ constante, el descenso estocástico no se detiene: oscila sobre un
# suelo (lección 1). La receta de los apuntes es la decadencia progresiva,
#
# $$\eta_s=\frac{\eta_0}{1+s\,\eta_d}$$
#
# Que la tasa vaya a cero hace falta, pero no basta (errata E33, en la
# [lección 10.5](10_5_lotes_y_convergencia.py)). Las condiciones de Robbins y Monro son dos:
#
# $$\sum_s\eta_s=\infty\qquad\text{y}\qquad\sum_s\eta_s^2<\infty$$
#
# La primera garantiza que los pasos alcanzan para llegar desde cualquier lugar; la segunda, que el
# ruido acumulado se apaga. Una tasa constante falla la segunda; una exponencial va a cero y falla
# la primera. La progresiva cumple las dos.


# %%
def progressive_decay(eta0, decay, steps):
    """η_s = η_0 / (1 + s η_d), con s = 0, 1, ..."""
    return eta0 / (1 + decay * np.arange(steps))


with jax.enable_x64(True):
    library = jax.vmap(joc.inverse_time_decay(1.0, 0.01))(jnp.arange(1000))
    assert np.max(abs(library - progressive_decay(1.0, 0.01, 1000))) < 1e-12

horizons = 10 ** np.arange(3, 7)
series = {
    "constante": np.ones(horizons[-1]),
    "progresiva": progressive_decay(1.0, 0.01, horizons[-1]),
    "exponencial": 0.99 ** np.arange(horizons[-1]),
}
sums = pd.DataFrame(
    {f"{name}, {what}": np.cumsum(eta**power)[horizons - 1]
     for name, eta in series.items() for power, what in ((1, "Σ η"), (2, "Σ η²"))},
    index=pd.Index(horizons, name="pasos"),
)  # fmt: skip
show_table(sums, 5)
per_decade = sums["progresiva, Σ η"].diff().iloc[-1]
assert abs(per_decade - 100 * np.log(10)) < 1  # crece como un logaritmo, sin fin
assert sums["progresiva, Σ η²"].diff().iloc[-1] < 0.2  # se detiene
assert sums["exponencial, Σ η"].diff().iloc[-1] < 1e-9

# %% [markdown]
# ### El experimento
#
# El problema más pequeño con ruido: hallar la media de unos números viendo uno por paso, con
# $J=\tfrac12(w-x_i)^2$. Tiene una sorpresa. Con $\eta_0=\eta_d=1$ la tasa es $1/(s+1)$, y el
# descenso de gradiente *es* la media acumulada: la fórmula de toda la vida, paso a paso.

# %%
rng = np.random.default_rng(0)
numbers = 3 + rng.normal(size=200_000)
tx = joc.sgd(joc.inverse_time_decay(1.0, 1.0))
some = numbers[:500]
path = walk(tx, lambda w, t: w - jnp.asarray(some)[t - 1], 0.0, len(some))
running_mean = np.cumsum(some) / np.arange(1, len(some) + 1)
assert np.max(abs(path - running_mean)) < 1e-12
print(f"tras 500 números: {path[-1]:.12f}, y su media: {some.mean():.12f}")

# %% [markdown]
# Ahora cuatro horarios, que es como se llama a la tasa de cada paso decidida de antemano, con la
# misma $\eta_0$ y muchas semillas (otro orden de los números). El horario es una columna más de la
# tabla, de modo que todos comparten un programa. En Keras el progresivo se llama
# `InverseTimeDecay`; en PyTorch se escribe con `LambdaLR`.

# %%
seeds, steps = (range(32), 1500) if quick() else (range(128), 10_000)
eta0, fast, slow, shrink = 0.5, 5.0, 0.5, 0.8
trials = pd.concat([
    joc.grid(schedule="constant", seed=seeds),
    joc.grid(schedule="inverse_time", schedule_decay_rate=[slow, fast], seed=seeds),
    joc.grid(schedule="exponential", schedule_decay_rate=shrink, schedule_transition_steps=1,
             seed=seeds),
])  # fmt: skip


# %%
optimum = numbers.mean(keepdims=True)


def distance(params, state, data):
    return {"loss": jnp.mean(0.5 * (params["w"] - data) ** 2)}


mean = joc.Task(
    name="mean",
    init=lambda key: ({"w": jnp.zeros(())}, {}),
    loss=lambda params, state, data, key: (distance(params, state, data)["loss"], (state, {})),
    evaluate=distance,
    train=numbers, valid=optimum, test=optimum,  # así valid_loss es la distancia hasta él
    metrics={"loss": "min"},
)  # fmt: skip
study = joc.sweep(
    mean, trials.assign(learning_rate=eta0), "sgd", steps=steps, batch_size=1, evaluate_every=10,
    progress=False,
)  # fmt: skip
excess = study.curves["valid_loss"].values.reshape(4, len(seeds), -1).mean(axis=1)
constant, good, hasty, stuck = excess
at = study.curves["eval_step"].values

# %% [markdown]
# Qué mirar, en escalas logarítmicas:
#
# - la constante baja enseguida y se queda en un suelo, que la teoría da:
#   $\tfrac12\sigma^2\,\eta/(2-\eta)$;
# - la progresiva bien elegida sigue bajando para siempre, como $\sigma^2/(2s)$;
# - la exponencial se apaga antes de llegar: su suma de tasas es finita y se quedó sin pasos;
# - la progresiva con $\eta_d$ diez veces mayor *también* cumple las dos condiciones y, aun así, va
#   muy por detrás. Robbins y Monro prometen llegar; no dicen cuándo.

# %%
variance = numbers.var()
floor = variance / 2 * eta0 / (2 - eta0)
fig, ax = plt.subplots(figsize=(7, 4.4))
curves = {
    "constante": (constant, RED),
    f"progresiva, $\\eta_d$ = {slow}": (good, BLUE),
    f"progresiva, $\\eta_d$ = {fast}": (hasty, ORANGE),
    "exponencial": (stuck, PINK),
}
for name, (values, colour) in curves.items():
    ax.loglog(at, values, color=colour, lw=1.8, label=name)
ax.axhline(floor, color=RED, ls=":", lw=1.2)
ax.loglog(at, variance / 2 / at, color=BLUE, ls=":", lw=1.2)
ax.text(at[0], floor * 1.35, "suelo teórico", color=RED)
ax.text(at[len(at) // 12], 0.35 * variance / 2 / at[len(at) // 12], "$\\sigma^2/2s$", color=BLUE)
ax.set(xlabel="paso $s$", ylabel="exceso de pérdida", title=f"Media de {len(seeds)} semillas")
name_lines(ax)
show(fig, "horarios")

late = slice(len(at) // 2, None)
print(f"constante: suelo {constant[late].mean():.4f}, teoría {floor:.4f}")
print(f"progresiva: {good[-1] * at[-1] / (variance / 2):.2f} veces lo teórico al final")
left = np.prod(1 - eta0 * shrink ** np.arange(200))
print(f"exponencial: le queda por andar el {100 * left:.0f} % del camino, para siempre")
assert 0.75 < constant[late].mean() / floor < 1.25
assert 0.3 < good[-1] * at[-1] / (variance / 2) < 2.5
assert good[-1] < 0.05 * min(constant[late].mean(), hasty[-1], stuck[-1])
assert abs(stuck[-1] / stuck[len(at) // 2] - 1) < 1e-3 and stuck[-1] > 0.5 * (3 * left) ** 2 / 2

# %% [markdown]
# ## En resumen
#
# - El límite es $2/L$, y se puede calcular; más allá hay divergencia, no sobreajuste.
# - Con momentum el límite sube a $2(1+\beta)/L$.
# - Para que SGD se detenga hay que bajar $\eta$ a cero, pero no tan deprisa que su suma se agote.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice: si todas las entradas de la recta se multiplican por diez, ¿por cuánto se divide la
#    mayor tasa estable? Calcula el nuevo $L$.
# 2. Cambia la curvatura pequeña del tazón (`curvature`) de 0,01 a 0,1. ¿Hacia dónde se mueve la
#    estrella del mapa?
# 3. Demuestra que con $\eta=1/L$ una parábola de curvatura $L$ se resuelve en un paso, y que con
#    $\eta=2/L$ oscila para siempre.
# 4. ¿Cumple $\eta_s=\eta_0/\sqrt{1+s}$ las dos condiciones de Robbins y Monro?
#
# ## Para leer más
#
# - Polyak (1964), «Some methods of speeding up the convergence of iteration methods».
# - Robbins y Monro (1951), «A Stochastic Approximation Method».
