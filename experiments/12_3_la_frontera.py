# %% [markdown]
# # 12.3. La frontera entre converger y explotar
#
# Una red diminuta, $\hat y=\tfrac1H\,v^\top\tanh(Wx/\sqrt d)$, siempre con los mismos datos y
# pesos iniciales, y una tasa de aprendizaje por capa: $\eta_W$ en horizontal y $\eta_v$ en
# vertical. Cada punto del mapa es **un entrenamiento completo**. Azul: la pérdida acaba por debajo
# de donde empezó; naranja: explota. El tono dice lo rápido que ocurre. Sohl-Dickstein (2024)
# observó que esa frontera es fractal.
#
# Un entrenamiento es una función pura de $(\eta_W,\eta_v)$, así que el mapa es un `vmap` por
# trozos dentro de un `lax.map`, repartido entre los núcleos con `shard_map`: **un** programa,
# compilado una vez, que se ejecuta una vez por mapa.
#
# **Al terminar sabrás** ver la frontera entre converger y explotar; decir qué es un entrenamiento
# como función pura de sus tasas.
#
# **Hace falta** la [lección 2](02_tasa_de_aprendizaje.py).

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import quick, show
from jaxopt_course.course.claims import spanish

_ = joc.use_cpu_cores(1 if quick() else None)

# %%
SIDE, MAP_STEPS = (32, 100) if quick() else (256, 400)
D = H = EXAMPLES = 8
draw = np.random.default_rng(0)
x_map = draw.normal(size=(EXAMPLES, D)).astype(np.float32)
y_map = draw.normal(size=EXAMPLES).astype(np.float32)
first = {
    "W": draw.normal(size=(D, H)).astype(np.float32),
    "v": draw.normal(size=H).astype(np.float32),
}


# %%
def map_loss(params, x, y):
    hidden = jnp.tanh(x @ params["W"] / np.sqrt(D))
    return jnp.mean((hidden @ params["v"] / H - y) ** 2)


def layered(eta_W, eta_v):
    """Una tasa por capa, de la biblioteca."""
    return joc.partition_by_path({"W": joc.sgd(eta_W), "v": joc.sgd(eta_v)})


# %%
def train_at(rates):
    """Si un entrenamiento converge, y lo deprisa que lo hace o explota."""
    tx = layered(rates[0], rates[1])

    def step(carry, _):
        params, state = carry
        loss, g = jax.value_and_grad(map_loss)(params, x_map, y_map)
        u, state = tx.update(g, state, params)
        return (joc.apply_updates(params, u), state), loss

    params = jax.tree.map(jnp.asarray, first)
    losses = jax.lax.scan(step, (params, tx.init(params)), None, length=MAP_STEPS)[1]
    relative = jnp.where(jnp.isfinite(losses), losses / losses[0], jnp.inf)
    converges = jnp.mean(relative[-20:]) < 1
    return converges, jnp.sum(jnp.minimum(relative, 1e6)), jnp.sum(1 / relative)


mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ("cores",))
over_cores = jax.sharding.PartitionSpec("cores")
shared = jax.sharding.NamedSharding(mesh, over_cores)
many = jax.shard_map(
    lambda rates: jax.lax.map(train_at, rates, batch_size=256),
    mesh=mesh,
    in_specs=over_cores,
    out_specs=over_cores,
    check_vma=False,
)
rates_of_map = jax.ShapeDtypeStruct((SIDE**2, 2), jnp.float32, sharding=shared)
program = jax.jit(many).lower(rates_of_map).compile()  # el único


def draw_map(log_W, log_v, frozen=1.0):
    """El mapa de un rectángulo de décadas, en una pasada del programa; con sus segundos."""
    axes = [np.logspace(*log_W, SIDE), np.logspace(*log_v, SIDE)]
    axes[0][0] *= frozen  # el 0 pone una capa oculta congelada en la primera columna
    rates = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2).astype(np.float32)
    rates = jax.device_put(rates, shared)
    begin = time.perf_counter()
    values = jax.block_until_ready(program(rates))
    seconds = time.perf_counter() - begin
    return (*(np.asarray(value).reshape(SIDE, SIDE) for value in values), seconds)


WHOLE = ((-1.0, 3.0), (-1.0, 3.0))
converges, slow, quick_blowup, seconds = draw_map(*WHOLE, frozen=0.0)
print(
    spanish(
        f"{converges.size:,} entrenamientos de {MAP_STEPS} pasos en {seconds:.1f} s, en un "
        f"programa: {converges.size * MAP_STEPS / seconds:,.0f} pasos/s; converge "
        f"el {converges.mean():.1%}"
    )
)
assert quick() or converges.size == 65_536
assert converges[0, 0] and not converges[-1].any() and 0.2 < converges.mean() < 0.9

# %% [markdown]
# Hay un lugar donde la teoría lo sabe todo: con $\eta_W=0$ solo aprende $v$, el problema es
# cuadrático y la frontera está en $\eta_v=2/\lambda_{\max}$, con $\lambda_{\max}$ el mayor valor
# propio de la hessiana respecto de $v$ (línea discontinua en la figura). La primera columna del
# mapa lleva $\eta_W=0$ y cambia de color ahí, con error de menos de una casilla. Con $\eta_W$
# pequeña pero no nula ya no: cuando $v$ empieza a explotar, la otra capa se mueve, se satura, y a
# veces el entrenamiento se salva.

# %%
features = np.tanh(x_map @ first["W"] / np.sqrt(D)) / H
limit = 2 / np.linalg.eigvalsh(2 / EXAMPLES * features.T @ features).max()
decades = (np.log10(limit) - WHOLE[1][0]) / (WHOLE[1][1] - WHOLE[1][0])
predicted, measured = decades * (SIDE - 1), converges[:, 0].sum() - 0.5
print(spanish(f"2/λ = {limit:.2f}; frontera predicha en la fila {predicted:.1f}, "), end="")
print(spanish(f"medida en la {measured:.1f}"))
assert abs(predicted - measured) <= 1

# %%
ZOOM = ((2.0, 2.4), (1.0, 1.4))
closer = draw_map(*ZOOM)


# %%
def shade(converges, slow, blowup):
    """Azul donde converge, naranja donde explota; más oscuro, más deprisa."""
    image = np.zeros((*converges.shape, 4))
    for mask, key, palette in ((converges, slow, "Blues_r"), (~converges, blowup, "Oranges_r")):
        if mask.any():
            order = stats.rankdata(key[mask]) / mask.sum()
            image[mask] = plt.get_cmap(palette)(0.15 + 0.65 * order)
    return image


cell = 0.5 / (SIDE - 1)  # media casilla: cada punto está en el centro de la suya
fig, axes = plt.subplots(1, 2, figsize=(8.4, 4.4), layout="constrained")
maps = [(WHOLE, (converges, slow, quick_blowup)), (ZOOM, closer[:3])]
for ax, (region, values) in zip(axes, maps, strict=True):
    extent = [
        end
        for low, high in region
        for end in (low - cell * (high - low), high + cell * (high - low))
    ]
    ax.imshow(shade(*values), origin="lower", extent=extent, aspect="equal")
    ax.set(xlabel=r"$\log_{10}\eta_W$ (capa oculta)", ylabel=r"$\log_{10}\eta_v$ (salida)")
axes[0].hlines(np.log10(limit), *WHOLE[0], colors="k", ls="--", lw=1)
axes[0].text(WHOLE[0][1], np.log10(limit), r"$2/\lambda_{\max}$ ", ha="right", va="bottom")
(a, b), (c, d) = ZOOM
axes[0].plot([a, b, b, a, a], [c, c, d, d, c], color="k", lw=1)
axes[0].set_title(spanish(f"{SIDE**2:,} entrenamientos"))
axes[1].set_title("El recuadro, ampliado")
show(fig, "frontera", "Cada punto, un entrenamiento: azul si converge, naranja si explota")


# %% [markdown]
# ¿Fractal? Se cuentan las cajas de lado $s$ que tocan la frontera. Una curva lisa da un número
# proporcional a $1/s$, dimensión uno; una superficie llena, dos. Para saber qué da **este** método
# con una curva lisa se mide también un círculo dibujado con los mismos puntos. La dimensión cambia
# de un lugar a otro: a la izquierda, donde la capa oculta apenas aprende, es la de una curva; en el
# recuadro la frontera es polvo. Con pocos puntos por lado (el modo rápido) es solo orientativa.


# %%
def box_dimension(converges, sizes=(1, 2, 4, 8)):
    """Pendiente de log(cajas que toca la frontera) contra log(1/tamaño)."""
    rows, columns = (n // sizes[-1] * sizes[-1] for n in converges.shape)
    inside = converges[:rows, :columns]
    edge = np.zeros_like(inside)  # entre un punto y el siguiente, a la derecha o encima
    edge[:-1] |= inside[:-1] != inside[1:]
    edge[:, :-1] |= inside[:, :-1] != inside[:, 1:]
    counts = [
        edge.reshape(rows // size, size, columns // size, size).any((1, 3)).sum() for size in sizes
    ]
    return np.polyfit(np.log(1 / np.array(sizes)), np.log(counts), 1)[0]


across = np.linspace(-1, 1, SIDE)
dimensions = {
    "de un círculo": box_dimension(across**2 + across[:, None] ** 2 < 0.5),
    "a la izquierda del mapa": box_dimension(converges[:, : SIDE // 4]),
    "en todo el mapa": box_dimension(converges),
    "en el recuadro": box_dimension(closer[0]),
}
for where, dimension in dimensions.items():
    print(spanish(f"dimensión por cajas {where}: {dimension:.2f}"))
assert abs(dimensions["de un círculo"] - 1) < 0.15
assert quick() or dimensions["en el recuadro"] > dimensions["a la izquierda del mapa"] + 0.2

# %% [markdown]
# ## ¿El motor de barridos o `vmap`?
#
# La misma red como `Task` y las mismas tasas como tabla dan el mismo veredicto, y además curvas,
# validación y repetición bit a bit. Pero para una red de este tamaño cada paso cuesta menos que
# administrarlo: el mapa a mano es más rápido. El motor gana cuando la red pesa más que la tabla.

# %%
map_data = {"x": x_map, "y": y_map}
map_task = joc.Task(
    "frontera",
    init=lambda key: (jax.tree.map(jnp.asarray, first), {}),
    loss=lambda params, state, batch, key: (map_loss(params, batch["x"], batch["y"]), (state, {})),
    evaluate=lambda params, state, data: {"loss": map_loss(params, data["x"], data["y"])},
    train=map_data,
    valid=map_data,
    test=map_data,
    metrics={"loss": "min"},
)
every = SIDE // (8 if quick() else 16)
rows_of_map = np.arange(0, SIDE, every)
sample = joc.grid(
    eta_v=np.logspace(*WHOLE[1], SIDE)[rows_of_map], eta_W=np.logspace(*WHOLE[0], SIDE)[rows_of_map]
)
engine = joc.sweep(
    map_task,
    sample,
    lambda h: layered(h["eta_W"], h["eta_v"]),
    steps=MAP_STEPS,
    batch_size=EXAMPLES,
    record_every=MAP_STEPS // 5,
    progress=False,
)
last = engine.curves["train_loss"].to_numpy()[:, -1]
same = np.nan_to_num(last, nan=np.inf) < float(map_loss(first, x_map, y_map))
agreement = np.mean(same == converges[np.ix_(rows_of_map, rows_of_map)].ravel())
rate = engine.events[0]["trial_steps_per_second"]
print(
    spanish(
        f"motor: {len(sample)} ensayos a {rate:,.0f} pasos/s; vmap por trozos: "
        f"{converges.size * MAP_STEPS / seconds:,.0f} pasos/s; mismo veredicto en {agreement:.1%}"
    )
)
assert agreement > 0.9  # solo difieren donde decide el caos

# %% [markdown]
# ## En resumen
#
# - La frontera entre converger y explotar no es una línea $\eta<2/L$ en cuanto aprenden dos capas.
# - Donde solo aprende una capa la teoría la predice, y se cumple con error de una casilla.
# - Un entrenamiento es una función pura de sus tasas: por eso caben miles en un programa.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice si la frontera de una red lineal sería lisa. Cambia tanh por la identidad.
# 2. Duplica el número de pasos. ¿Se arruga más la frontera?
# 3. Amplía otro trozo del borde y di si se parece al entero.
#
# ## Para leer más
#
# - Sohl-Dickstein (2024), «The boundary of neural network trainability is fractal».
# - Cohen y otros (2021), «Gradient Descent on Neural Networks Typically Occurs at the Edge of
#   Stability».
