# %% [markdown]
# # 7. La red por dentro
#
# Un optimizador solo ve una lista de números y su gradiente. Esta lección abre la caja: qué calcula
# una red, con qué se mide su error y de dónde sale ese gradiente. Todo se escribe una vez en NumPy,
# con la notación de los apuntes, y se compara con Flax y con `jax.grad` hasta la duodécima cifra.
# Las láminas traen varias fórmulas con una errata; aquí cada una se ejecuta tal como está impresa y
# se ve en qué falla.

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.course import quick, show

joc.use_cpu_cores()
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY = "#CC79A7", "#56B4E9"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Funciones de activación
#
# Cada neurona suma sus entradas con pesos y pasa el total $z$ por una función $\sigma$:
#
# | nombre | $\sigma(z)$ | $\sigma'(z)$ |
# |---|---|---|
# | lineal | $z$ | $1$ |
# | sigmoide | $1/(1+e^{-z})$ | $\sigma(1-\sigma)$ |
# | tanh | $(1-e^{-2z})/(1+e^{-2z})$ | $1-\sigma^2$ |
# | ReLU | $\max(0,z)$ | $1$ si $z>0$, si no $0$ |
# | softplus | $\ln(1+e^{z})$ | $1/(1+e^{-z})$ |


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {  # name: (function, derivative, the same in JAX)
    "lineal": (lambda z: z, np.ones_like, lambda z: z),
    "sigmoide": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), jax.nn.sigmoid),
    "tanh": (
        lambda z: (1 - np.exp(-2 * z)) / (1 + np.exp(-2 * z)),
        lambda z: 1 - np.tanh(z) ** 2,
        jnp.tanh,
    ),
    "ReLU": (lambda z: np.maximum(0, z), lambda z: (z > 0).astype(float), jax.nn.relu),
    "softplus": (lambda z: np.log1p(np.exp(z)), sigmoid, jax.nn.softplus),
}
COLOURS = dict(zip(ACTIVATIONS, ["black", BLUE, GREEN, RED, PURPLE], strict=True))
z = np.linspace(-4, 4, 401)[1:-1:2]  # zero is not among them: ReLU has no slope there

with jax.enable_x64(True):
    for function, slope, in_jax in ACTIVATIONS.values():
        value, by_jax = jax.vmap(jax.value_and_grad(in_jax))(jnp.asarray(z))
        np.testing.assert_allclose(function(z), value, rtol=0, atol=1e-12)
        np.testing.assert_allclose(slope(z), by_jax, rtol=0, atol=1e-12)

# %% [markdown]
# **Dos erratas.** Las láminas imprimen $\tanh$ como $(e^{-2z}-1)/(e^{-2z}+1)$, que es $-\tanh z$
# (E5), y softplus como $\ln(1+e^{-z})$, que es la función reflejada (E6). Ambas *bajan* donde la
# buena sube.

# %%
printed_tanh = lambda z: (np.exp(-2 * z) - 1) / (np.exp(-2 * z) + 1)
printed_softplus = lambda z: np.log(1 + np.exp(-z))
slope_at_0 = lambda f, h=1e-6: (f(h) - f(-h)) / (2 * h)

assert np.allclose(printed_tanh(z), -np.tanh(z), rtol=0, atol=1e-12)
assert np.allclose(printed_softplus(z), ACTIVATIONS["softplus"][0](-z), rtol=0, atol=1e-12)
for name, printed in [("tanh", printed_tanh), ("softplus", printed_softplus)]:
    right = ACTIVATIONS[name][0]
    print(
        f"{name:9} en 2: impresa {printed(2.0):+.4f}, buena {right(2.0):+.4f}; "
        f"pendiente en 0: impresa {slope_at_0(printed):+.2f}, buena {slope_at_0(right):+.2f}"
    )
    assert slope_at_0(printed) < 0 < slope_at_0(right)

# %% [markdown]
# A la derecha, lo que importa para aprender: la derivada. La de la sigmoide nunca pasa de un
# cuarto; de ahí saldrá, más abajo, el gradiente que se desvanece.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for name, (function, slope, _) in ACTIVATIONS.items():
    axes[0].plot(z, function(z), color=COLOURS[name], label=name)
    axes[1].plot(z, slope(z), color=COLOURS[name], label=name)
axes[0].plot(z, printed_tanh(z), ":", color=GREEN, label="tanh impresa (E5)")
axes[0].plot(z, printed_softplus(z), ":", color=PURPLE, label="softplus impresa (E6)")
axes[0].set(xlabel="entrada $z$", ylabel=r"salida $\sigma(z)$", ylim=(-1.6, 3), title="Activación")
axes[1].set(xlabel="entrada $z$", ylabel=r"pendiente $\sigma'(z)$", title="Derivada")
axes[1].axhline(0.25, color=BLUE, lw=0.8, ls="--")
axes[1].text(-4, 0.27, "techo de la sigmoide: 1/4", color=BLUE, fontsize=9)
fig.tight_layout()
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="upper center", ncols=4, bbox_to_anchor=(0.5, 0)
)
show(fig, "activaciones")
assert np.isclose(ACTIVATIONS["sigmoide"][1](0.0), 1 / 4)

# %% [markdown]
# ## Softmax y objetivos one-hot
#
# Con $K$ clases hacen falta $K$ probabilidades que sumen uno:
#
# $$\hat y_s = \frac{e^{z_s}}{\sum_t e^{z_t}}$$
#
# y la clase verdadera se escribe como un vector con un solo uno. Las láminas dicen que softmax
# «equivale» a aplicar la sigmoide y normalizar (E7). No equivale: sumar una constante a todas las
# entradas no cambia softmax, y sí cambia lo otro. Esa invariancia permite además restar el máximo y
# no desbordar nunca.


# %%
def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normalised_sigmoid(z):  # what the slides describe
    return sigmoid(z) / sigmoid(z).sum(-1, keepdims=True)


def one_hot(classes, k):
    return np.eye(k)[classes]


scores = np.array([1.0, 2.0, 3.0])
print(
    "softmax              ", softmax(scores).round(3), "y con +10:", softmax(scores + 10).round(3)
)
print(
    "sigmoide normalizada ",
    normalised_sigmoid(scores).round(3),
    "y con +10:",
    normalised_sigmoid(scores + 10).round(3),
)
print("clase 3 de 5:", one_hot(3 - 1, 5))  # the notes count classes from 1
with jax.enable_x64(True):
    np.testing.assert_allclose(softmax(scores), jax.nn.softmax(jnp.asarray(scores)), atol=1e-12)
assert np.allclose(softmax(scores), softmax(scores + 10), rtol=0, atol=1e-12)
assert np.ptp(normalised_sigmoid(scores + 10)) < 1e-4  # it forgets who was ahead
assert np.isfinite(softmax(np.array([1000.0, 0.0]))).all()

# %% [markdown]
# ## Funciones de pérdida
#
# Para regresión, binaria y $K$ clases, con medias sobre los $M$ ejemplos:
#
# $$E_{\text{MSE}}=\tfrac1M\sum_m \tfrac12\lVert a_m-y_m\rVert^2,\qquad
# E_{\text{BCE}}=-\tfrac1M\sum_m\big[y_m\ln a_m+(1-y_m)\ln(1-a_m)\big],\qquad
# E_{\text{CE}}=-\tfrac1M\sum_m\sum_k y_{mk}\ln a_{mk}$$
#
# Las láminas ponen en la primera el ½ y en otra página no: cambia el gradiente por dos y nada más.
# Keras, PyTorch y esta biblioteca no lo ponen.


# %%
def squared(a, y):
    return (0.5 * (a - y) ** 2).sum(-1).mean()


def binary(a, y):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(-1).mean()


def categorical(a, y):
    return -(y * np.log(a)).sum(-1).mean()


outputs, binary_targets = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 3))
labels = rng.integers(0, 3, 50)


@jax.jit
def by_optax(z, y, labels):
    return {
        "MSE": optax.losses.l2_loss(z, y).sum(-1).mean(),
        "BCE": optax.losses.sigmoid_binary_cross_entropy(z, y).sum(-1).mean(),
        "CE": optax.losses.softmax_cross_entropy_with_integer_labels(z, labels).mean(),
    }


with jax.enable_x64(True):
    in_optax = jax.device_get(by_optax(outputs, binary_targets.astype(float), labels))
by_hand = {
    "MSE": squared(outputs, binary_targets),
    "BCE": binary(sigmoid(outputs), binary_targets),
    "CE": categorical(softmax(outputs), one_hot(labels, 3)),
}
for name in by_hand:
    print(f"{name}: a mano {by_hand[name]:.12f}, optax {in_optax[name]:.12f}")
    assert abs(by_hand[name] - in_optax[name]) < 1e-12

# %% [markdown]
# **De la verosimilitud a la entropía cruzada, con cinco erratas.** Con $p=P(y=1\mid x)$ y $y\in
# \{0,1\}$ (no $-1$), la probabilidad del dato es el *producto* $p^y(1-p)^{1-y}$; las láminas suman
# (E8), y una «probabilidad» mayor que uno la delata. El logaritmo del producto es una suma *sin*
# $1/M$ (E9; si se divide, es la media, con el mismo óptimo). Maximizar $L$ es minimizar $-L$: sin
# el signo (E10) el descenso huye de los datos. En el texto extraído falta el menos de $1-y$ y $1-f$
# (E11). Y para varias clases la suma lleva solo $y\ln\hat y$ (E12): con softmax, el término que
# sobra cambia el gradiente.

# %%
p = 0.3
printed = [p**y + (1 - p) ** (1 - y) for y in (1, 0)]
right = [p**y * (1 - p) ** (1 - y) for y in (1, 0)]
print("E8   p(1), p(0): impresas", printed, "; buenas", right)
assert min(printed) > 1 and np.isclose(sum(right), 1)

two = np.log(np.prod([0.3, 0.6])), np.log([0.3, 0.6]).sum(), np.log([0.3, 0.6]).mean()
print("E9   ln Π = {:.4f}, Σ ln = {:.4f}, impresa (1/M) Σ ln = {:.4f}".format(*two))
assert np.isclose(two[0], two[1]) and np.isclose(two[2], two[0] / 2)

logit = {"-L": 0.0, "L": 0.0}  # three ones and a zero: the best answer is p = 3/4
for _ in range(200):
    for name, sign in (("-L", 1), ("L", -1)):
        logit[name] -= 0.1 * sign * (sigmoid(logit[name]) * 4 - 3)
answer = {name: float(sigmoid(value)) for name, value in logit.items()}
print(f"E10  minimizando -L: p = {answer['-L']:.4f}; minimizando L: p = {answer['L']:.1e}")
assert abs(answer["-L"] - 0.75) < 1e-3 and answer["L"] < 1e-3

y = np.array([0.0, 1.0, 0.0])
good = lambda z: -jnp.sum(y * jax.nn.log_softmax(z))
extra = lambda z: good(z) - jnp.sum((1 - y) * jnp.log1p(-jax.nn.softmax(z)))
with jax.enable_x64(True):
    both = jax.jit(lambda z: [jax.value_and_grad(f)(z) for f in (extra, good)])
    losses, slopes = zip(*jax.device_get(both(np.log([0.2, 0.5, 0.3]))), strict=True)
print(f"E12  impresa {losses[0]:.4f}, buena {losses[1]:.4f} (= -ln 0.5)")
print("     gradiente impreso", slopes[0].round(3), "; bueno", slopes[1].round(3), "= ŷ - y")
assert np.allclose(slopes[1], [0.2, 0.5 - 1, 0.3], rtol=0, atol=1e-12)
assert np.abs(slopes[0] - slopes[1]).max() > 0.1

# %% [markdown]
# ## Hacia delante y hacia atrás
#
# Las capas se numeran de $1$ (la entrada) a $L$ (la salida); $w^{(\ell)}_{st}$ lleva del nodo $t$
# de la capa $\ell$ al nodo $s$ de la $\ell+1$, así que $W^{(\ell)}$ tiene forma $S_{\ell+1}\times
# S_\ell$. Para $\ell=1,\dots,L-1$:
#
# $$a^{(1)}=x,\qquad z^{(\ell+1)}=W^{(\ell)}a^{(\ell)}+w_0^{(\ell)},\qquad
# a^{(\ell+1)}=\sigma(z^{(\ell+1)})$$
#
# La retropropagación es la regla de la cadena leída desde el final. Con $\delta^{(\ell)}=\partial
# E/\partial z^{(\ell)}$,
#
# $$\delta^{(\ell)}=\big(W^{(\ell)}\big)^{\!\top}\delta^{(\ell+1)}\odot\sigma'(z^{(\ell)}),\qquad
# \frac{\partial E}{\partial W^{(\ell)}}=\delta^{(\ell+1)}\,\big(a^{(\ell)}\big)^{\!\top},\qquad
# \frac{\partial E}{\partial w_0^{(\ell)}}=\delta^{(\ell+1)}$$
#
# y en la salida ocurre algo que conviene recordar: para las tres parejas lineal + MSE, sigmoide +
# BCE y softmax + CE, el arranque es *el mismo*, $\delta^{(L)}=a-y$.


# %%
def forward(weights, x, activation):
    """All z and all a; rows of x are examples, so W a + w0 is written a Wᵀ + w0."""
    z, a = [None], [x]
    for layer, (w, w0) in enumerate(weights, start=1):
        z.append(a[-1] @ w.T + w0)
        a.append(activation(z[-1]) if layer < len(weights) else z[-1])  # the last: the loss's part
    return z, a


def backward(weights, z, a, delta, slope):
    """The gradients of W and w0 of every layer, and every δ, from δ of the output."""
    gradients, deltas = [], [delta]
    for layer in reversed(range(len(weights))):
        gradients.append((deltas[-1].T @ a[layer], deltas[-1].sum(0)))
        if layer > 0:
            deltas.append(deltas[-1] @ weights[layer][0] * slope(z[layer]))
    return gradients[::-1], deltas[::-1]


OUTPUTS = {"MSE": (lambda z: z, squared), "BCE": (sigmoid, binary), "CE": (softmax, categorical)}


def loss_and_gradients(weights, x, y, activation, loss):
    """E and its gradients by hand: mean over the examples in x."""
    function, slope, _ = ACTIVATIONS[activation]
    squash, error = OUTPUTS[loss]
    z, a = forward(weights, x, function)
    prediction = squash(z[-1])
    gradients, _ = backward(weights, z, a, (prediction - y) / len(x), slope)
    return error(prediction, y), gradients


def new_weights(sizes, seed, gain=1.0):
    draw = np.random.default_rng(seed).normal
    pairs = itertools.pairwise(sizes)
    return [(gain * draw(size=(m, n)) / math.sqrt(n), 0.1 * draw(size=m)) for n, m in pairs]


# %% [markdown]
# El juez es `jax.grad`, que deriva la misma pérdida escrita aparte en JAX. Se prueban todas las
# activaciones y pérdidas, con de dos a seis capas.


# %%
def loss_in_jax(weights, x, y, activation, loss):
    a = x
    for w, w0 in weights[:-1]:
        a = ACTIVATIONS[activation][2](a @ w.T + w0[None])
    a = a @ weights[-1][0].T + weights[-1][1][None]
    each = {
        "MSE": lambda: optax.losses.l2_loss(a, y),
        "BCE": lambda: optax.losses.sigmoid_binary_cross_entropy(a, y),
        "CE": lambda: -y * jax.nn.log_softmax(a),
    }[loss]()
    return each.sum(-1).mean()


every = list(itertools.product([2, 3, 4, 6], ACTIVATIONS, OUTPUTS))
cases = every[:: 11 if quick() else 1]  # in quick mode, still each depth, activation and loss
assert {case[i] for case in cases for i in range(3)} == {*[2, 3, 4, 6], *ACTIVATIONS, *OUTPUTS}
x, y = rng.normal(size=(8, 5)), one_hot(rng.integers(0, 4, 8), 4)
networks = [new_weights([5, *[6] * (layers - 2), 4], seed=layers) for layers, _, _ in cases]


@jax.jit
def judge(networks):
    one = jax.value_and_grad(loss_in_jax)
    return [one(w, x, y, *case[1:]) for w, case in zip(networks, cases, strict=True)]


ours = [loss_and_gradients(w, x, y, *case[1:]) for w, case in zip(networks, cases, strict=True)]
with jax.enable_x64(True):
    theirs = jax.device_get(judge(networks))
gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), ours, theirs)
worst = max(jax.tree.leaves(gaps))
print(f"{len(cases)} redes: la mayor diferencia con jax.grad es {worst:.1e}")
assert worst < 1e-12

# %% [markdown]
# **Cuatro erratas más.** En clasificación las láminas imprimen $\partial E/\partial
# a=(y-a)/(a(1-a))$, con el signo cambiado (E13): el descenso *sube*. El bucle hacia delante llega a
# $L$ y leería una capa que no existe (E14). La versión matricial trae $W^\top a$ (E15) y la
# retropropagación $W^{\ell+1}\delta^{\ell+1}$ sin trasponer (E16): con la definición de $w_{st}$ no
# encajan las formas... salvo que todas las capas midan lo mismo, y entonces no avisa nadie.


# %%
def descend(sign, steps=8):
    weights = new_weights([5, 6, 4], seed=1)
    for _ in range(steps):
        _, gradients = loss_and_gradients(weights, x, y, "tanh", "BCE")
        weights = [
            (w - 0.2 * sign * g, w0 - 0.2 * sign * g0)
            for (w, w0), (g, g0) in zip(weights, gradients, strict=True)
        ]
    return loss_and_gradients(weights, x, y, "tanh", "BCE")[0]


at_start, printed, right = descend(1, steps=0), descend(-1), descend(1)
print(f"E13  pérdida al empezar {at_start:.3f}; signo impreso {printed:.3f}; bueno {right:.3f}")
assert right < at_start < printed


def fails_with(error, attempt):
    try:
        attempt()
    except error as message:
        return str(message)
    raise AssertionError("it should have failed")


weights = new_weights([3, 4, 2], seed=2)
a1, delta3 = np.ones(3), np.ones(2)
print("E14 ", fails_with(IndexError, lambda: [weights[layer - 1] for layer in range(1, 3 + 1)]))
print("E15 ", fails_with(ValueError, lambda: weights[0][0].T @ a1).split("->")[-1])
print("E16 ", fails_with(ValueError, lambda: weights[1][0] @ delta3).split("->")[-1])

square = new_weights([4, 4, 4], seed=3)
z, a = forward(square, x[:, :4], np.tanh)
delta = softmax(z[-1]) - y
good = delta @ square[1][0] * (1 - np.tanh(z[1]) ** 2)
printed = delta @ square[1][0].T * (1 - np.tanh(z[1]) ** 2)  # W δ, as printed
print(f"capas iguales: W δ no da error, y se equivoca en {np.abs(printed - good).max():.2f}")
assert np.abs(printed - good).max() > 0.1

# %% [markdown]
# ## La red de los apuntes, desde cero y en Flax
#
# La red bancaria de los apuntes, dos capas ocultas de 64 ReLU y una sigmoide, con los datos de
# tumores que trae scikit-learn (30 medidas). La misma inicialización y los mismos mini-lotes en dos
# programas: el nuestro, unas líneas de NumPy con
#
# $$W^{(\ell)}\leftarrow W^{(\ell)}-\eta\,\frac{\partial E}{\partial W^{(\ell)}},\qquad
# w_0^{(\ell)}\leftarrow w_0^{(\ell)}-\eta\,\frac{\partial E}{\partial w_0^{(\ell)}}$$
#
# y `joc.MLP` de Flax con `joc.sgd`.


# %%
def update(weights, gradients, rate):
    """The notes' update of every W and w0."""
    return [
        (w - rate * g, w0 - rate * g0) for (w, w0), (g, g0) in zip(weights, gradients, strict=True)
    ]


def from_flax(params):
    """Flax keeps a kernel as (inputs, outputs), the notes as (outputs, inputs)."""
    params = jax.device_get(params)
    layers = [params["layers"][i] for i in sorted(params["layers"])]
    return [(layer["kernel"].T.astype(float), layer["bias"].astype(float)) for layer in layers]


task = joc.load_task("breast_cancer")
inputs, targets = task.train["inputs"].astype(float), task.train["targets"].astype(float)
steps, rate, batch = 100 if quick() else 400, 0.1, 32
orders = [np.random.default_rng(s).choice(len(inputs), batch, replace=False) for s in range(steps)]

history = {"NumPy": [], "Flax": []}
apart = []
with jax.enable_x64(True):
    params, model_state = jax.jit(task.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), params)
    weights = from_flax(params)
    tx = joc.sgd(rate)
    state = tx.init(params)

    @jax.jit
    def flax_step(params, state, batch):
        grad = jax.value_and_grad(task.loss, has_aux=True)
        (loss, _), gradients = grad(params, model_state, batch, jax.random.key(0))
        updates, state = tx.update(gradients, state, params)
        return joc.apply_updates(params, updates), state, loss

    for rows in orders:
        loss, gradients = loss_and_gradients(
            weights, inputs[rows], targets[rows, None], "ReLU", "BCE"
        )
        weights = update(weights, gradients, rate)
        params, state, flax_loss = flax_step(
            params, state, {"inputs": inputs[rows], "targets": task.train["targets"][rows]}
        )
        history["NumPy"].append(loss)
        history["Flax"].append(float(flax_loss))
        gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), weights, from_flax(params))
        apart.append(max(jax.tree.leaves(gaps)))
print(f"{steps} pasos: los pesos difieren a lo sumo en {max(apart):.1e}")
assert max(apart) < 1e-12 and steps >= 50

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
ax.plot(history["NumPy"], color=BLUE, lw=4, alpha=0.4, label="NumPy, a mano")
ax.plot(history["Flax"], color="black", lw=1, label="Flax y joc.sgd")
ax.set(xlabel="paso", ylabel="entropía cruzada del mini-lote", ylim=(0, None))
ax.set_title("La misma red dos veces: las curvas se tapan")
ax.legend(frameon=False)
show(fig, "numpy_y_flax")
assert np.mean(history["NumPy"][-20:]) < 0.5 * np.mean(history["NumPy"][:5])

# %% [markdown]
# ## Gradientes que se desvanecen y que explotan
#
# La fórmula de $\delta^{(\ell)}$ es un producto: cada capa multiplica por $W^\top$ y por $\sigma'$.
# Con pesos de varianza $g^2/S_\ell$ una red lineal multiplica la norma de $\delta$ por $g$ en cada
# capa, en media cuadrática; una ReLU, que deja pasar la mitad, por $g/\sqrt2$. Con treinta capas
# eso es $g^{30}$.
#
# Lo medimos con el `backward` de arriba: ancho 64, pesos al azar, sin entrenar.

# %%
DEPTH, WIDTH = 30, 64
repeats = 3 if quick() else 10


def signal(activation, gain, depth=DEPTH):
    """Root mean square of δ at each layer, relative to the output's, over several networks."""
    function, slope, _ = ACTIVATIONS[activation]
    total = 0.0
    for seed in range(repeats):
        weights = [(w, 0 * w0) for w, w0 in new_weights([WIDTH] * (depth + 1), seed, gain)]
        draw = np.random.default_rng(1000 + seed).normal
        z, a = forward(weights, draw(size=(32, WIDTH)), function)
        _, deltas = backward(weights, z, a, draw(size=(32, WIDTH)), slope)
        total += np.array([(d**2).mean() for d in deltas]) / (deltas[-1] ** 2).mean()
    return np.sqrt(total / repeats)


per_layer = lambda norms: (norms[0] / norms[-1]) ** (1 / (len(norms) - 1))
print("activación  g      por capa   a treinta capas")
measured = {}
for activation, gain in [
    ("lineal", 0.8), ("lineal", 1.0), ("lineal", 1.25), ("ReLU", 1.0), ("ReLU", math.sqrt(2)),
    ("tanh", 1.0), ("tanh", 2.0), ("sigmoide", 1.0), ("softplus", 1.0),
]:  # fmt: skip
    measured[activation, gain] = norms = signal(activation, gain)
    print(f"{activation:10}  {gain:5.3f}  {per_layer(norms):8.3f}   {norms[0]:.1e}")

for (activation, gain), norms in measured.items():
    expected = {"lineal": gain, "ReLU": gain / math.sqrt(2)}.get(activation)
    assert expected is None or abs(per_layer(norms) / expected - 1) < 0.06
assert per_layer(measured["sigmoide", 1.0]) < 1 / 4  # the ceiling of its derivative
assert measured["lineal", 1.25][0] > 100 and measured["sigmoide", 1.0][0] < 1e-15

# %% [markdown]
# Las rectas en escala logarítmica son la prueba del producto. La ganancia $g=\sqrt2$ que hace
# horizontal la de ReLU es la inicialización de He; y con tanh, $g=1$ se apaga despacio y $g=2$ ya
# explota, aunque la tanh está acotada. La sigmoide no tiene arreglo a esta profundidad: cada capa
# quita más de tres cuartos.

# %%
fig, ax = plt.subplots(figsize=(8, 4.2))
APART = {("lineal", 1.0): 5, ("tanh", 1.0): 0.3, ("tanh", 2.0): 0.7, ("ReLU", 1.0): 0.4}
for (activation, gain), norms in measured.items():
    style = "-" if gain in (1.0,) else "--" if gain > 1 else ":"
    layers = np.arange(2, len(norms) + 2)
    ax.semilogy(layers, norms, style, color=COLOURS[activation])
    label = f"{activation}, $g$ = " + ("$\\sqrt{2}$" if gain == math.sqrt(2) else f"{gain:g}")
    ax.text(
        1.6,
        norms[0] * APART.get((activation, gain), 1),
        label,
        ha="right",
        va="center",
        fontsize=8,
        color=COLOURS[activation],
    )
ax.set(xlabel="capa $\\ell$ (la salida, a la derecha)", xlim=(-8, DEPTH + 2))
ax.set_ylabel("tamaño de $\\delta^{(\\ell)}$ relativo a la salida")
ax.set_xticks(range(5, DEPTH + 1, 5))
ax.set_title("El error, de vuelta por treinta capas")
show(fig, "gradientes_por_capa")

# %% [markdown]
# ## Muchas redes, una función
#
# Cambiar de orden las neuronas ocultas (filas de $W^{(\ell)}$ y columnas de $W^{(\ell+1)}$ a la
# vez) no cambia nada de lo que la red calcula. Los apuntes lo llaman problema de identificabilidad.
# Dos capas de 64 dan $64!^2$ copias de cada red; con tanh, además, cada neurona puede cambiar de
# signo.


# %%
def permuted(weights, seed):
    """The same network with the units of each hidden layer in another order."""
    draw, order = np.random.default_rng(seed), np.arange(weights[0][0].shape[1])
    result = []
    for layer, (w, w0) in enumerate(weights):
        last = layer == len(weights) - 1
        new = np.arange(len(w)) if last else draw.permutation(len(w))
        result.append((w[new][:, order], w0[new]))
        order = new
    return result


relu = ACTIVATIONS["ReLU"][0]
twin = permuted(weights, seed=1)
same = np.abs(forward(weights, inputs, relu)[1][-1] - forward(twin, inputs, relu)[1][-1]).max()
squares = jax.tree.map(lambda m, n: ((m - n) ** 2).sum(), weights, twin)
distance = math.sqrt(sum(jax.tree.leaves(squares)))
copies = 2 * math.lgamma(64 + 1) / math.log(10)
print(f"salidas distintas en {same:.1e}; pesos a distancia {distance:.1f}; 10^{copies:.0f} copias")
assert same < 1e-12 < distance

# %% [markdown]
# De ahí se sigue que la pérdida no es convexa: si lo fuera, la red a mitad de camino entre dos
# mínimos iguales sería al menos tan buena. No lo es.

# %%
between = np.linspace(0, 1, 11 if quick() else 41)
column = targets[:, None]
fig, ax = plt.subplots(figsize=(7, 3.6))
for seed, colour in zip((1, 2, 3), (BLUE, GREEN, RED), strict=True):
    other = permuted(weights, seed)
    mix = lambda t, other=other: jax.tree.map(lambda m, n: (1 - t) * m + t * n, weights, other)
    path = [binary(sigmoid(forward(mix(t), inputs, relu)[1][-1]), column) for t in between]
    ax.plot(between, path, color=colour, label=f"permutación {seed}")
    assert abs(path[0] - path[-1]) < 1e-12 and max(path) > 1.2 * path[0]
ax.set(xlabel="posición en el segmento (0: la red, 1: la misma, permutada)")
ax.set(ylabel="entropía cruzada", ylim=(0, None))
ax.set_title("Dos redes iguales y lo que hay entre ellas")
ax.legend(frameon=False)
show(fig, "permutaciones")

# %% [markdown]
# ## Aproximación universal: existe, pero hay que encontrarla
#
# Una capa oculta basta para acercarse cuanto se quiera a cualquier función continua (Cybenko,
# 1989). Con ReLU la red se puede incluso *escribir*: si $x_0<\dots<x_n$ son nodos a distancia $h$ y
# $s_i$ las pendientes entre ellos,
#
# $$f_n(x)=f(x_0)+\sum_{i=0}^{n-1}(s_i-s_{i-1})\,\mathrm{ReLU}(x-x_i),\qquad s_{-1}=0$$
#
# es la interpolación por trozos, con $n$ neuronas y error a lo sumo $\tfrac{h^2}8\max|f''|$.
# Antes, lo que *no* sirve: capas lineales. Su composición es otra matriz.

# %%
weights_linear = new_weights([5, 20, 20, 4], seed=4)
product = weights_linear[2][0] @ weights_linear[1][0] @ weights_linear[0][0]
shift = forward(weights_linear, np.zeros((1, 5)), lambda z: z)[1][-1]
deep = forward(weights_linear, x, lambda z: z)[1][-1]
assert np.allclose(deep, x @ product.T + shift, rtol=0, atol=1e-12)

wave = lambda x: np.sin(3 * np.pi * x)
CURVATURE = (3 * np.pi) ** 2  # the largest |f''|


def written(n):
    """Weights of a ReLU network with n hidden units that interpolates the wave."""
    nodes = np.linspace(-1, 1, n + 1)
    jumps = np.diff(np.diff(wave(nodes)) / np.diff(nodes), prepend=0.0)
    return [(np.ones((n, 1)), -nodes[:-1]), (jumps[None], wave(nodes[:1]))]


dense = np.linspace(-1, 1, 4001)[:, None]
units = np.unique(np.geomspace(4, 256, 19).round().astype(int))
errors = [np.abs(forward(written(n), dense, relu)[1][-1] - wave(dense)).max() for n in units]
for n, error in zip(units, errors, strict=True):
    assert error <= (2 / n) ** 2 / 8 * CURVATURE + 1e-12
falls = np.polyfit(np.log(units[-10:]), np.log(errors[-10:]), 1)[0]
print(f"el error de la red escrita cae como n^{falls:.2f}")
assert abs(falls + 2) < 0.1

# %% [markdown]
# ¿Y si los pesos se *entrenan*? Aquí el número de neuronas $n$ es un dato más de cada
# entrenamiento: la red tiene las que caben y una compuerta por neurona, que el optimizador fija en
# su primer paso. Una neurona con la compuerta en cero no aporta ni recibe gradiente; las abiertas
# valen $\sqrt{64/n}$, para que la señal empiece con el tamaño que tendría en una red de esa
# anchura. Así todas las anchuras van en un solo programa; en Keras o PyTorch sería un modelo y un
# bucle por cada una.

# %%
WIDEST = 64


class Gated(nnx.Module):
    """Hidden layers of which only the units with an open gate take part."""

    def __init__(self, inputs, depth, outputs, activation, *, rngs, **start):
        pairs = itertools.pairwise([inputs, *[WIDEST] * depth])
        self.hidden = nnx.List([nnx.Linear(n, m, rngs=rngs, **start) for n, m in pairs])
        self.last = nnx.Linear(WIDEST, outputs, rngs=rngs)
        self.gate = nnx.Param(jnp.ones(WIDEST))
        self.activation = activation

    def __call__(self, x):
        for layer in self.hidden:
            x = self.gate[...][None] * self.activation(layer(x))
        return self.last(x)


def with_gates(h):
    """Adam for the weights; the first h["hidden"] gates open at once, and stay."""
    wanted = jnp.where(jnp.arange(WIDEST) < h["hidden"], jnp.sqrt(WIDEST / h["hidden"]), 0.0)
    update = lambda _, state, params: (jax.tree.map(lambda gate: wanted - gate, params), state)
    gates = optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    return joc.partition_by_path({"gate": gates}, default=joc.adam(h["learning_rate"]))


wide = nnx.initializers.normal(3.0)
points = np.linspace(-1, 1, 64)[:, None]
curve = joc.Task.from_flax(
    lambda rngs: Gated(1, 1, 1, jnp.tanh, kernel_init=wide, bias_init=wide, rngs=rngs),
    *(points, wave(points)),
    valid=(points, wave(points)),
    test=(dense[::8], wave(dense[::8])),
    loss="squared_error",
    name="wave",
)
trials = joc.grid(
    hidden=[2, 4, 8, 16, 32, 64],
    learning_rate=[0.01, 0.03],
    seed=range(2 if quick() else 6),
)
study = joc.sweep(
    curve,
    trials,
    with_gates,
    steps=500 if quick() else 3000,
    batch_size=64,
    evaluate_every=500,
    progress=False,
)
trained = np.sqrt(study.trials.groupby("hidden")["test_loss"].agg(["min", "median"]))
rms_of = lambda n: math.sqrt(((forward(written(n), dense, relu)[1][-1] - wave(dense)) ** 2).mean())
print(trained.rename(columns={"min": "mejor", "median": "mediana"}).round(4))
assert trained["min"].loc[64] < 0.5 * trained["min"].loc[4]

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
axes[0].plot(dense, wave(dense), color="black", lw=3, alpha=0.3, label="la función")
for n, colour in ((7, ORANGE), (14, GREEN), (28, BLUE)):
    axes[0].plot(dense, forward(written(n), dense, relu)[1][-1], color=colour, label=f"{n} ReLU")
axes[0].set(xlabel="$x$", ylabel="salida", ylim=(-1.2, 1.9), title="Redes escritas a mano")
axes[0].legend(fontsize=8, ncols=2)
axes[1].loglog(units, [rms_of(n) for n in units], color="black", label="ReLU escrita")
axes[1].loglog(trained.index, trained["min"], "o-", color=BLUE, label="tanh entrenada, la mejor")
axes[1].loglog(trained.index, trained["median"], "s--", color=SKY, label="entrenada, mediana")
axes[1].set(xlabel="neuronas ocultas", ylabel="error cuadrático medio (raíz)")
axes[1].set_title("Error frente a neuronas")
axes[1].legend(fontsize=8)
fig.tight_layout()
show(fig, "aproximacion_universal")

# %% [markdown]
# Con pocas neuronas la entrenada gana con holgura a la escrita, porque las coloca donde hacen
# falta. Pero entre 8 y 64 apenas mejora, mientras la escrita sigue bajando con $n^2$: el teorema
# dice que los pesos existen, no que el descenso los encuentre.

# %%
gain = {"escrita": rms_of(8) / rms_of(64), "entrenada": trained["min"][8] / trained["min"][64]}
print(f"con 8 neuronas: escrita {rms_of(8):.4f}, entrenada {trained['min'][8]:.4f}")
print("de 8 a 64 neuronas el error se divide por", {k: round(v, 1) for k, v in gain.items()})
assert trained["min"][8] < rms_of(8) / 3 and gain["escrita"] > 3 * gain["entrenada"]

# %% [markdown]
# ## ¿Cuántas neuronas, cuántas capas?
#
# La anchura y la profundidad no se aprenden con el gradiente; se eligen con validación. La anchura
# sigue siendo un dato. La profundidad no puede serlo, porque cambia el programa: va en `static`, y
# cada valor compila el suyo, en la misma tabla. Los datos son los dígitos de 8 × 8 con pocas
# imágenes de entrenamiento, para que se note el sobreajuste.

# %%
digits = joc.load_task("digits")
few = {"inputs": digits.train["inputs"][:300], "targets": digits.train["targets"][:300]}


def deep(depth):
    """The digits with ``depth`` hidden layers."""
    part = lambda p: (p["inputs"], p["targets"])
    return joc.Task.from_flax(
        lambda rngs: Gated(64, depth, 10, jax.nn.relu, rngs=rngs),
        *part(few),
        valid=part(digits.valid),
        test=part(digits.test),
        loss="softmax_cross_entropy",
        name="few digits",
    )


trials = joc.grid(
    depth=[1, 2] if quick() else [1, 2, 3],
    hidden=[3, 64] if quick() else [2, 3, 5, 8, 16, 32, 64],
    learning_rate=[0.003, 0.01],
    seed=range(4 if quick() else 8),
)
study = joc.sweep(
    deep,
    trials,
    with_gates,
    static=["depth"],
    steps=400,
    batch_size=30,
    record_every=10,  # an epoch
    evaluate_every=400,
    metric="valid_loss",
    progress=False,
)
table = study.configurations("valid_loss")
print(table[["depth", "hidden", "learning_rate", "valid_loss"]].head(8).to_string())

# %% [markdown]
# Cada punto es una semilla. Las redes estrechas caen en sitios muy distintos; al ensanchar, la nube
# se encoge y baja: los mínimos locales se parecen cada vez más entre sí (es la figura de
# Choromanska et al. que traen las láminas). La pérdida de entrenamiento sigue bajando cuando la de
# prueba ya no lo hace. Y una capa más memoriza mejor los trescientos dígitos y lo paga en la
# prueba.

# %%
LOSSES = ["train_loss", "valid_loss", "test_loss"]
runs = study.trials
one_layer = runs[(runs["depth"] == 1) & (runs["learning_rate"] == 0.003)]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4))
for (hidden, rows), colour in zip(
    one_layer.groupby("hidden"), [RED, ORANGE, PURPLE, GREEN, SKY, BLUE, "black"], strict=False
):
    axes[0].loglog(rows["train_loss"], rows["test_loss"], "o", color=colour, label=str(hidden))
axes[0].set(xlabel="pérdida de entrenamiento", ylabel="pérdida de prueba")
axes[0].set_title("Una capa oculta: cada punto, una semilla")
axes[0].legend(title="neuronas", fontsize=8)

means = runs.groupby(["depth", "hidden", "learning_rate"])[LOSSES].mean()
best_rate = means.sort_values("valid_loss").groupby(["depth", "hidden"]).first().reset_index()
for (depth, rows), colour in zip(best_rate.groupby("depth"), (BLUE, GREEN, RED), strict=False):
    axes[1].loglog(rows["hidden"], rows["train_loss"], ":", color=colour)
    axes[1].loglog(rows["hidden"], rows["valid_loss"], "o-", color=colour, label=f"{depth}")
axes[1].set(xlabel="neuronas por capa", ylabel="pérdida")
axes[1].set_xticks(widths := best_rate["hidden"].unique(), [f"{n:.0f}" for n in widths])
axes[1].minorticks_off()
axes[1].set_title("Validación (línea) y entrenamiento (puntos)")
axes[1].legend(title="capas ocultas", fontsize=8)
fig.tight_layout()
show(fig, "anchura_y_profundidad")

spread = one_layer.groupby("hidden")[["train_loss", "test_loss"]].std()
means = runs.groupby(["depth", "hidden"])[LOSSES].mean()  # over both rates
print(means.round(3))
assert (spread.loc[3] > 4 * spread.loc[64]).all()
assert means["test_loss"][1, 3] > 2 * means["test_loss"][1, 64] > 2 * means["train_loss"][1, 64]
assert means["train_loss"][2, 64] < means["train_loss"][1, 64]
assert means["test_loss"][2, 64] > means["test_loss"][1, 64]

# %% [markdown]
# Elegida con la validación, la ganadora se vuelve a entrenar con semillas nuevas, y solo entonces
# se mira la prueba: la búsqueda eligió también la suerte.

# %%
chosen = study.best("valid_loss")
fresh = study.confirm(4, progress=False).trials
print(
    f"elegida: capas ocultas: {chosen['depth']:.0f}, de {chosen['hidden']:.0f} neuronas, "
    f"con tasa {chosen['learning_rate']:g}; "
    f"exactitud de prueba {fresh['test_accuracy'].mean():.3f} ± {fresh['test_accuracy'].std():.3f}"
)
assert chosen["hidden"] > 3 and fresh["test_accuracy"].mean() > 0.85
