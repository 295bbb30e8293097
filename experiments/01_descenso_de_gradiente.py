# %% [markdown]
# # 1. Descenso de gradiente: un solo número, el tamaño del lote
#
# Entrenar es bajar. La pérdida $J(\theta)$, que los apuntes llaman también función de costo, es un
# promedio sobre $N$ ejemplos, y su gradiente señala hacia dónde sube; por eso se camina en sentido
# contrario, con pasos proporcionales a la tasa de aprendizaje $\eta$. Calcular ese gradiente con
# todos los ejemplos cuesta $N$ veces más que con uno, así que se toma un lote $\mathcal B$ de $B$
# ejemplos:
#
# $$\theta \leftarrow \theta - \frac{\eta}{B}\sum_{i\in\mathcal B}
#   \nabla_\theta J(\theta; x^{(i)}, y^{(i)})$$
#
# Los tres métodos de los apuntes son esta misma línea. Con $B=1$ es el descenso estocástico (SGD),
# con $B=N$ el descenso por lotes (*batch*), y lo que queda en medio es el mini-lote (*mini-batch*).
# En esta lección $B$ es un número que se mueve, y se mide qué cambia con él: las actualizaciones
# por época, el ruido, el costo de cada paso y la memoria. (Los apuntes son cinco
# textos, del 000 al 004, que este curso pone a prueba. No hace falta tenerlos: lo que dicen se cita
# donde se usa.)
#
# **Al terminar sabrás** explicar por qué lote completo, mini-lote y estocástico son un solo número,
# $B$; predecir cuánto ruido mete un lote y cuánto cuesta quitarlo; decir cuándo el descenso con
# tasa constante se detiene y cuándo no.
#
# **Hace falta** saber qué es una derivada parcial y qué una varianza, y un poco de Python.

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

import jaxopt_course as joc
from jaxopt_course.course import check, quick, show, show_table
from jaxopt_course.report import landscape

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## La recta de los apuntes
#
# Cinco puntos con $x=y=1,\dots,5$, un peso $w$ y un sesgo $b$, y el error cuadrático medio. El
# óptimo es $w=1$, $b=0$. La regla, escrita una vez en NumPy: cada fila de `batches` son los índices
# de los ejemplos de un lote, y *nada más* distingue a los tres métodos.


# %%
def descend(x, y, theta, eta, batches):
    """Descenso de gradiente en la media de (w x + b - y)², un paso por lote; todas las thetas."""
    path = [theta]
    for rows in batches:
        w, b = path[-1]
        error = w * x[rows] + b - y[rows]
        gradient = np.array([np.mean(2 * error * x[rows]), np.mean(2 * error)])
        path.append(path[-1] - eta * gradient)
    return np.array(path)


# %%
def in_batches(examples, batch_size, epochs, seed=0):
    """Índices (actualizaciones, batch_size): en cada época un orden nuevo, cortado en lotes."""
    rng = np.random.default_rng(seed)
    per_epoch = examples // batch_size  # el resto que no llena un lote se queda fuera
    orders = [rng.permutation(examples)[: per_epoch * batch_size] for _ in range(epochs)]
    return np.concatenate(orders).reshape(-1, batch_size)


# %% [markdown]
# La biblioteca hace lo mismo con `joc.sgd` y el gradiente automático de la tarea `"line"`. Sobre
# los mismos lotes y en float64, ambos caminos coinciden en doce decimales. El bucle se escribe aquí
# una vez entero; las demás lecciones lo toman de `jaxopt_course.course.walks`. `scan` es un `for`
# que JAX compila: repite `update`, le pasa lo que devolvió la vez anterior y guarda el camino.


# %%
def follow(tx, gradient, start, steps):
    """El camino de un optimizador: ``start`` y lo que hace de él cada actualización."""

    def update(carry, s):
        theta, state = carry
        u, state = tx.update(gradient(theta, s), state, theta)
        theta = joc.apply_updates(theta, u)
        return (theta, state), theta

    _, path = jax.lax.scan(update, (start, tx.init(start)), jnp.arange(steps))
    return jax.tree.map(lambda first, rest: np.concatenate([first[None], rest]), start, path)


# %%
line = joc.load_task("line")
x, y = (np.float64(line.train[name][:, 0]) for name in ("inputs", "targets"))
eta, epochs, start = 0.01, 60, np.array([-1.0, 3.0])
paths = {B: descend(x, y, start, eta, in_batches(5, B, epochs)) for B in (1, 2, 5)}

# %%
with jax.enable_x64(True):
    params, _ = line.init(jax.random.key(0))
    (bias, kernel), tree = jax.tree.flatten(params)
    first = tree.unflatten([jnp.full(bias.shape, start[1]), jnp.full(kernel.shape, start[0])])
    for B, path in paths.items():
        batches = jnp.asarray(in_batches(5, B, epochs))
        points = {name: jnp.asarray(values, float) for name, values in line.train.items()}

        def gradient(params, s, batches=batches, points=points):
            batch = {name: values[batches[s]] for name, values in points.items()}
            return jax.grad(line.loss, has_aux=True)(params, {}, batch, None)[0]

        b, w = jax.tree.leaves(follow(joc.sgd(eta), gradient, first, len(batches)))
        library = np.stack([w.ravel(), b.ravel()], axis=1)
        gap = abs(path - library).max()
        print(f"B = {B}: {len(batches)} actualizaciones, diferencia máxima {gap:.0e}")
        assert path.shape == library.shape and gap < 1e-12

# %% [markdown]
# En la figura, las curvas de nivel de la pérdida (cuanto más claro, más bajo) y los tres caminos,
# con la misma $\eta$ y el mismo número de épocas. El de lote completo es liso, pero avanza poco:
# una actualización por época. El estocástico tiembla de una pared a la otra y, con cinco
# actualizaciones por época, llega mucho más lejos.

# %%
w, b = np.meshgrid(np.linspace(-1.3, 2.0, 120), np.linspace(-1.0, 3.3, 120))
J = np.mean([(w * xi + b - yi) ** 2 for xi, yi in zip(x, y, strict=True)], axis=0)
names = {1: "estocástico, B = 1", 2: "mini-lote, B = 2", 5: "por lotes, B = 5"}
fig, ax = plt.subplots(figsize=(7, 4.6))
landscape.contours(ax, w[0], b[:, 0], J, lowest=0, minima=[(1, 0)])
landscape.paths(ax, {names[B]: path for B, path in paths.items()})
ax.annotate("óptimo", (1, 0), (1.15, 0.12))
ax.annotate("inicio", start, (-1.2, 2.6))
ax.set(xlabel="peso $w$", ylabel="sesgo $b$", title=f"{epochs} épocas, $\\eta$ = {eta}")
ax.legend()
show(fig, "caminos")

away = {B: np.linalg.norm(path[-1] - [1, 0]) for B, path in paths.items()}
print(*(f"B = {B}: queda a {distance:.2f} del óptimo" for B, distance in away.items()), sep="\n")
assert away[1] < away[2] < away[5]

# %% [markdown]
# ## Actualizaciones por época
#
# Una época es una pasada por los datos: $\lfloor N/B\rfloor$ actualizaciones. Con las mismas
# épocas, quien actualiza más veces termina más abajo. En `joc.fit`, el entrenamiento sencillo de la
# biblioteca, elegir entre los tres métodos es dar un `batch_size`, y el estado que devuelve trae
# contadas las actualizaciones.

# %%
rows = []
for B in (1, 2, 5):
    path = descend(x, y, start, eta, in_batches(5, B, epochs=100))
    rows.append((B, 5 // B, len(path) - 1, np.mean((path[-1] @ [x, np.ones(5)] - y) ** 2)))
columns = ["B", "actualizaciones por época", "en 100 épocas", "pérdida final"]
counted = pd.DataFrame(rows, columns=columns)
show_table(counted, index=False)
assert counted["pérdida final"].is_monotonic_increasing

trained = joc.fit(line, joc.sgd(eta), epochs=100, batch_size=2, evaluate_every=200)
print("joc.fit, B = 2:", int(trained.state.step), "actualizaciones")
assert trained.state.step == counted["en 100 épocas"][1]

# %% [markdown]
# ¿Y el ruido de SGD, que según los apuntes le impide llegar al óptimo? Aquí no aparece, y es la
# sorpresa de este ejemplo: la recta pasa *exactamente* por los cinco puntos, así que en el óptimo
# el gradiente de cada ejemplo es cero, no solo su promedio. Con una tasa constante SGD converge del
# todo. Unos datos sin error son la excepción; los de más abajo sí lo tienen.

# %%
each = [descend(x, y, np.array([1.0, 0.0]), eta, [[i]])[-1] for i in range(5)]
assert np.all(np.array(each) == [1.0, 0.0])  # ningún ejemplo quiere irse del óptimo
last = descend(x, y, start, 0.02, in_batches(5, 1, 2000))[-1]
print(f"SGD tras 2000 épocas: a {np.linalg.norm(last - [1, 0]):.0e} del óptimo")
assert np.linalg.norm(last - [1, 0]) < 1e-9

# %% [markdown]
# Quien siga los apuntes encontrará en ellos seis descuidos sobre los lotes (E22 a E26 y E29). Se
# ejecutan en las lecciones [10.4](10_4_capas_y_formas.py) y [10.5](10_5_lotes_y_convergencia.py).

# %% [markdown]
# ## Datos reales: pacientes con diabetes
#
# `diabetes` de scikit-learn: diez medidas de cada paciente y el avance de su enfermedad un año
# después. Es la misma regresión, con un peso por medida y, ahora sí, con ruido: ningún hiperplano
# pasa por todos los puntos. Todo va estandarizado: media 0 y desviación 1. Una tarea de la
# biblioteca son tres funciones puras (iniciar, pérdida, evaluar) y los datos; como aquí se estudia
# el descenso y no la generalización, los datos con que se entrena, los de validación, con que se
# elige, y los de prueba, con que se informa, son los mismos, y `valid_loss` es la pérdida exacta
# sobre todos.

# %%
X, t = load_diabetes(return_X_y=True)
N = len(t)
X, t = (X - X.mean(0)) / X.std(0), (t - t.mean()) / t.std()
data = {"x": X, "t": t}


def loss(params, model_state, batch, key):
    error = batch["x"] @ params["w"] + params["b"] - batch["t"]
    return jnp.mean(error**2), (model_state, {})


diabetes = joc.Task(
    name="diabetes",
    init=lambda key: ({"w": jnp.zeros(10), "b": jnp.zeros(())}, {}),
    loss=loss,
    evaluate=lambda params, state, batch: {"loss": loss(params, state, batch, None)[0]},
    train=data, valid=data, test=data,
    metrics={"loss": "min"},
)  # fmt: skip
best = np.linalg.lstsq(X, t, rcond=None)[0]
floor = np.mean((X @ best - t) ** 2)
print(f"{N} pacientes; menor pérdida posible, por mínimos cuadrados: {floor:.4f}")
assert floor > 0.1  # hay ruido

# %% [markdown]
# ### El ruido del gradiente
#
# El gradiente de un lote es una estimación del verdadero, $\nabla J$. Si $\sigma^2$ es la varianza
# del gradiente entre ejemplos, con reposición su error es $\sigma^2/B$, y sin reposición (como en
# una época, que no repite ejemplos) baja además hasta anularse en $B=N$:
#
# $$\mathbb E\,\lVert g_B-\nabla J\rVert^2 = \frac{\sigma^2}{B}
#   \qquad\text{y}\qquad \frac{\sigma^2}{B}\cdot\frac{N-B}{N-1}$$
#
# Se miden ambos al inicio, con muchos lotes al azar para *cada* tamaño: la media acumulada de un
# orden al azar es el gradiente de sus primeros $B$ ejemplos.

# %%
error = -t  # con theta = 0
G = 2 * error[:, None] * np.column_stack([X, np.ones(N)])  # en cada fila, el de un ejemplo
sigma2 = np.mean(np.sum((G - G.mean(0)) ** 2, axis=1))
B = np.arange(1, N + 1)
rng = np.random.default_rng(1)
draws = 400 if quick() else 1000
measured = {"con reposición": np.zeros(N), "sin reposición": np.zeros(N)}
for _ in range(draws):
    orders = (rng.integers(N, size=N), rng.permutation(N))
    for name, order in zip(measured, orders, strict=True):
        off = np.cumsum(G[order], axis=0) / B[:, None] - G.mean(0)
        measured[name] += np.sum(off**2, axis=1) / draws
theory = {"con reposición": sigma2 / B, "sin reposición": sigma2 / B * (N - B) / (N - 1)}

fit_slope = np.polyfit(np.log(B), np.log(measured["con reposición"]), 1)[0]
print(f"pendiente medida del ruido contra B, en logaritmos: {fit_slope:.2f}")
assert abs(fit_slope + 1) < 0.15
for name in measured:
    assert np.allclose(measured[name][: N // 2], theory[name][: N // 2], rtol=0.2)
assert measured["sin reposición"][-1] < 1e-20

fig, ax = plt.subplots(figsize=(7, 4.2))
some = np.unique(np.geomspace(1, N - 1, 25).astype(int)) - 1  # bastan para verlo
for (name, values), colour in zip(measured.items(), (BLUE, RED), strict=True):
    ax.loglog(B[:-1], theory[name][:-1], "-", color=colour, lw=1.5, label=f"teoría, {name}")
    ax.loglog(B[some], values[some], "o", mfc="none", color=colour, label=f"medido, {name}")
ax.set(xlabel="tamaño del lote $B$", ylabel=r"$\mathbb{E}\,\|g_B-\nabla J\|^2$")
ax.set(ylim=(sigma2 / N / 300, None), title="El ruido cae como 1/B")
ax.legend(frameon=False)
show(fig, "ruido")

# %% [markdown]
# Diez veces menos ruido cuesta diez veces más ejemplos, y la desviación típica (lo que se ve
# temblar) solo mejora como $1/\sqrt B$: cada ejemplo que se añade al lote aporta menos que el
# anterior.
#
# **Con las manos:** <a href="manos_lote.html">qué hacen el ruido y el tamaño del lote</a>.
#
# ### Entrenar con varios tamaños a la vez
#
# `joc.sweep` recibe una tabla, una fila por entrenamiento. El tamaño del lote cambia la *forma* del
# programa, así que va en `static`: se compila un programa por tamaño, y dentro de cada uno todas
# las semillas corren juntas (una semilla fija el azar: los pesos iniciales y el orden de los
# ejemplos). En Keras o PyTorch esto son dos bucles anidados, tamaños y semillas,
# con un `fit` o un `DataLoader` en cada vuelta.

# %%
sizes, epochs = ([1, 64, N], 25) if quick() else ([1, 16, 64, N], 100)
rate = 0.01
trials = joc.grid(batch_size=sizes, learning_rate=rate, seed=range(8))
study = joc.sweep(diabetes, trials, "sgd", epochs=epochs, static=["batch_size"], progress=False)
excess = study.curves["valid_loss"] - floor

reached = {}
for size in sizes:
    of_size = excess.where(excess["batch_size"] == size, drop=True).dropna("eval_step", how="all")
    assert of_size.shape == (8, epochs)
    reached[size] = of_size.mean("trial").values  # un valor por época
final = {size: values[-epochs // 4 :].mean() for size, values in reached.items()}

# %% [markdown]
# A la izquierda, con la misma $\eta$, el exceso de pérdida sobre la menor posible contra las
# épocas. A la derecha, las mismas curvas contra las actualizaciones. Qué mirar:
#
# - tras la primera época el lote completo va último: los demás ya dieron muchos pasos y él uno;
# - $B=1$ llega enseguida a un suelo de ruido y se queda oscilando; un lote mayor lo rebaja;
# - contra actualizaciones, los lotes medianos y el completo coinciden mientras el ruido no manda:
#   un paso es un paso, lo que cambia es su precio.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4), sharey=True)
epoch = np.arange(1, epochs + 1)
for size, colour in zip(sizes, (ORANGE, BLUE, PINK, GREEN), strict=False):
    left.loglog(epoch, reached[size], color=colour, lw=1.8)
    right.loglog(epoch * (N // size), reached[size], color=colour, lw=1.8, label=f"B = {size}")
left.set(xlabel="épocas", ylabel="exceso de pérdida $J-J_{min}$")
right.set(xlabel="actualizaciones")
right.legend(frameon=False)
fig.suptitle(f"Diabetes, $\\eta$ = {rate}, media de 8 semillas")
show(fig, "tamanos")

ends = [(s, reached[s][0], final[s]) for s in sizes]
show_table(pd.DataFrame(ends, columns=["B", "tras la época 1", "último cuarto"]), 2, index=False)
assert reached[N][0] == max(values[0] for values in reached.values())
assert final[1] > 3 * final[64]  # el suelo de ruido
step = N // 64  # actualizaciones por época con B = 64: las mismas con B = N
assert np.allclose(reached[64][:4], reached[N][step - 1 : 4 * step : step], rtol=0.1)

# %% [markdown]
# ## Lo que cuesta una actualización
#
# Para el costo se toma una red, la de la tarea `"digits"` (imágenes de $8\times8$), y el programa
# compilado de *una* actualización de cada tamaño: las operaciones (en millones, Mflop) y la memoria
# de trabajo las dice el compilador, el tiempo lo dice el reloj.

# %%
digits = joc.load_task("digits")
params, _ = digits.init(jax.random.key(0))
tx = joc.sgd(0.1)


@jax.jit
def update(params, batch):
    g = jax.grad(digits.loss, has_aux=True)(params, {}, batch, None)[0]
    u, _ = tx.update(g, tx.init(params), params)
    return joc.apply_updates(params, u)


def cost(batch_size):
    """Operaciones, memoria de trabajo (bytes) y segundos de una actualización."""
    batch = jax.device_put({name: values[:batch_size] for name, values in digits.train.items()})
    program = update.lower(params, batch).compile()
    counts, times = program.cost_analysis(), []
    for _ in range(10 if quick() else 50):
        begin = time.perf_counter()
        jax.block_until_ready(program(params, batch))
        times.append(time.perf_counter() - begin)
    return counts["flops"], program.memory_analysis().temp_size_in_bytes, min(times)


# %%
whole = digits.examples["train"]
sizes = [1, 32, whole] if quick() else [1, 8, 32, 128, 512, whole]
costs = pd.DataFrame([cost(size) for size in sizes], columns=["flop", "bytes", "s"], index=sizes)
per_epoch = whole // np.array(sizes)
table = pd.DataFrame({
    "B": sizes,
    "actualizaciones/época": per_epoch,
    "Mflop": costs["flop"].values / 1e6,
    "memoria kB": costs["bytes"].values / 1e3,
    "µs": 1e6 * costs["s"].values,
    "µs por ejemplo": 1e6 * costs["s"].values / sizes,
    "ms por época": 1e3 * costs["s"].values * per_epoch,
})  # fmt: skip
show_table(table, index=False)

# %% [markdown]
# Operaciones y memoria crecen con $B$: es cierto que una actualización estocástica cuesta poco y
# que el lote completo pide memoria para todos los ejemplos a la vez. Pero el *tiempo* no es
# proporcional a las operaciones. Con $B=1$ casi todo es el gasto fijo de poner en marcha el
# programa; por ejemplo procesado sale carísimo, y una época entera tarda mucho más que con
# mini-lotes. Los apuntes dicen las dos cosas, «menor costo computacional» y «las actualizaciones
# frecuentes son más costosas»: la primera vale por actualización, la segunda por época.

# %%
flop, memory, seconds = (costs[name].to_dict() for name in ("flop", "bytes", "s"))
growth = (flop[whole] / flop[32]) / (whole / 32)
print(f"operaciones contra B, de 32 a {whole}: {growth:.2f} veces lo proporcional")
assert 0.8 < growth < 1.2
assert memory[whole] > 10 * memory[1]
assert seconds[whole] / whole < seconds[1]
assert seconds[1] * whole > 2 * seconds[32] * (whole // 32)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
left.loglog(sizes, 1e6 * costs["s"], "o-", color=BLUE, label="por actualización, µs")
left.loglog(sizes, 1e6 * costs["s"] / sizes, "s-", color=ORANGE, label="por ejemplo, µs")
left.set(xlabel="tamaño del lote $B$", ylabel="tiempo (µs)")
left.legend(frameon=False)
right.loglog(sizes, costs["bytes"] / 1e3, "^-", color=GREEN)
right.set(xlabel="tamaño del lote $B$", ylabel="memoria de trabajo (kB)")
fig.tight_layout()
show(fig, "costo")

# %% [markdown]
# ## En resumen
#
# | | $B=1$ | mini-lote | $B=N$ |
# | --- | --- | --- | --- |
# | actualizaciones por época | $N$ | $\lfloor N/B\rfloor$ | 1 |
# | ruido del gradiente | $\sigma^2$ | $\approx\sigma^2/B$ | 0 |
# | operaciones y memoria por actualización | mínimas | $\propto B$ | $\propto N$ |
# | con $\eta$ constante | baja pronto, luego oscila | ambas cosas, menos | lento y liso |
#
# El suelo de ruido se puede quitar sin agrandar el lote: bajando la tasa de aprendizaje poco a
# poco. De eso trata la lección 2.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# Los números se cambian en el cuaderno, que se descarga bajo el título. Si al cambiar uno falla un
# `assert`, no es un error tuyo: es una afirmación de la lección que con ese número deja de ser
# cierta. Quita esa línea y sigue.
#
# 1. Predice antes de ejecutar: con $B=3$ en la recta de cinco puntos, ¿cuántas actualizaciones hay
#    por época y cuántos ejemplos se quedan fuera de cada una? Compruébalo con `in_batches`.
# 2. Cambia `eta` a 0,03 y después a 0,09. ¿Cuál de los tres tamaños deja de converger primero?
# 3. Demuestra que, si $B$ divide a $N$, la media de los gradientes de los lotes de una época, todos
#    en el mismo punto, es el gradiente completo.
# 4. En la figura del ruido, ¿por qué las dos curvas se separan solo cuando $B$ se acerca a $N$?
#    Busca el factor responsable.
#
# Y una función por corregir. El corrector, `check`, la ejecuta junto a la de la biblioteca en
# veinte pasos y en tres arreglos u hojas (`W`, con gradientes corrientes; `b`, pequeños; `e`, casi
# siempre cero), y dice en qué paso se separa y a qué error se parece. Cámbiala y vuelve a ejecutar
# la celda; las demás están en la [lección 14](14_tu_turno.py).


# %%
def mi_sgd(g, state, w, t, *, learning_rate):
    return w + learning_rate * g, {}  # mira el signo


_ = check("sgd", mi_sgd)

# %% [markdown]
# ## Para leer más
#
# - Robbins y Monro (1951), «A Stochastic Approximation Method».
# - Bottou, Curtis y Nocedal (2018), «Optimization Methods for Large-Scale Machine Learning».
