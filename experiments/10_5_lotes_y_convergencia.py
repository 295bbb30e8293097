# %% [markdown]
# # 10.5. Erratas de lotes y de convergencia
#
# Quedan las erratas que no están en una fórmula sino en una frase o en un bucle: qué es estocástico
# y qué no, cuándo un promedio es una suma, qué pasa con una tasa demasiado alta, hacia dónde apunta
# el gradiente. Una frase también se puede ejecutar, si se decide antes qué número tendría que salir
# si fuera cierta.
#
# Cada una se somete a la misma prueba: se mide lo **impreso**, lo **correcto** y la **verdad**; la
# correcta tiene que coincidir con la verdad hasta $10^{-12}$, y la impresa apartarse más de un uno
# por ciento. Las que llevan la letra N no estaban en la lista que dio pie a la lección, y
# aparecieron al comprobarla.
#
# **Al terminar sabrás** decir cuántas actualizaciones hace una época; por qué una tasa demasiado
# alta no es sobreajuste; qué pide una tasa que baja para que SGD llegue.
#
# **Hace falta** las lecciones [1](01_descenso_de_gradiente.py) y [2](02_tasa_de_aprendizaje.py), y
# la [parte 10.1](10_1_momentum_y_adam.py).

# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import polygamma

import jaxopt_course as joc
from jaxopt_course.course import show
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.errata import Errata, Measure
from jaxopt_course.course.walks import compiled_walk, exact, walk

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
errata = Errata()

# %% [markdown]
# ## Estocástico, por lotes
#
# El código que los apuntes 001 llaman estocástico es, línea por línea, el mismo bucle de lote
# completo de su sección siguiente; el de Keras, con cinco ejemplos y lotes de 32 por defecto,
# también lo es. SGD recorre los ejemplos uno a uno:
#
# $$\theta \leftarrow \theta - \eta\,\nabla_\theta J(\theta; x^{(i)}, y^{(i)}), \qquad
# i = 1, \dots, N$$


# %%
X = np.arange(1.0, 6.0)  # los cinco puntos de los apuntes 001, en y = x


def epoch_in_batches(size, eta=0.01):
    """(w, b) tras cada actualización de una época, con los puntos en su orden."""
    theta, path = np.zeros(2), []
    for i in range(0, len(X), size):
        x = X[i : i + size]
        error = theta[0] * x + theta[1] - x
        theta = theta - eta * 2 * np.array([np.mean(error * x), np.mean(error)])
        path.append(theta)
    return np.array(path)


def example_by_example(theta, t):
    x = jnp.asarray(X)[t - 1]
    return 2 * (theta[0] * x + theta[1] - x) * jnp.stack([x, jnp.ones_like(x)])


errata.judge(
    "E23",
    "001:98-106 y 001:202-210",
    "el bucle «estocástico» usa el lote completo",
    quote="`outputs = model(X_train)`",
    printed=(
        "SGD: un paso por época con los cinco ejemplos",
        lambda: epoch_in_batches(len(X)),
    ),
    right=("SGD: un paso por ejemplo, cinco por época", lambda: epoch_in_batches(1)),
    truth=lambda: walk(joc.sgd(0.01), example_by_example, np.zeros(2), len(X)),
    cases={
        "actualizaciones por época con 5 ejemplos": lambda epoch: len(epoch()),
        "pendiente y sesgo tras una época": lambda epoch: epoch()[-1],
    },
)

# %% [markdown]
# El comentario de los apuntes 001 sobre el lote completo tampoco es cierto. Su código sí lo usa,
# porque pasa `batch_size=len(X_train)`; pero no se activa solo, y el descuido no se nota con pocos
# ejemplos: cualquier conjunto de hasta 32 cabe en un solo lote.

# %%
DEFAULT = 32  # de fit en Keras; la lección 11.2 pregunta al propio Keras donde está instalado
errata.judge(
    "E24",
    "001:162",
    "el lote completo no se activa solo",
    quote="Compilar el modelo con el optimizador SGD (modo por lotes se activa automáticamente)",
    printed=("«modo por lotes se activa automáticamente»", lambda n: 1),
    right=(
        "Keras usa `batch_size=32` si no se le dice otra cosa",
        lambda n: math.ceil(n / DEFAULT),
    ),
    truth=lambda n: sum(1 for _ in range(0, n, DEFAULT)),
    cases={
        "actualizaciones por época con 100 ejemplos, sin batch_size": lambda count: count(100),
    },
)

# %% [markdown]
# Con el lote completo, dicen los apuntes 001, el gradiente se calcula **sumando**; con mini-lotes,
# **promediando**. La tasa que sirve para una regla no sirve para la otra: si los datos se repiten
# diez veces, la suma crece diez veces y la media no cambia. Keras y PyTorch promedian en los dos
# casos.


# %%
def each(x):
    """El gradiente de ½(wx - x)² en w = 1/2, para cada ejemplo."""
    return (0.5 * x - x) * x


def mean_of_jax(x):
    loss = lambda w: jnp.mean(0.5 * (w * jnp.asarray(x) - x) ** 2)
    return exact(jax.grad(loss), 0.5)


errata.judge(
    "E25",
    "001:146 frente a 001:251",
    "sumar en un sitio y promediar en otro",
    quote="El gradiente se calcula sumando las derivadas parciales de la función de costo",
    printed=(
        r"lote completo: $\sum_i \nabla J_i$; mini-lote: $\frac{1}{n}\sum_i \nabla J_i$",
        lambda x: each(x).sum(),
    ),
    right=(r"$\frac{1}{n}\sum_i \nabla J_i$ en los dos", lambda x: each(x).mean()),
    truth=mean_of_jax,
    cases={
        "cuánto crece el gradiente al repetir los datos 10 veces": lambda gradient: (
            gradient(np.tile(X, 10)) / gradient(X)
        )
    },
)
errata.judge(
    "E26",
    "001:243-249",
    "un ejemplo de más en el mini-lote",
    quote="desde el $i$-ésimo hasta el $(i+n)$-ésimo ejemplo",
    printed=(
        r"ejemplos $i, \dots, i+n$",
        lambda all_of, i, n: all_of[(all_of >= i) & (all_of <= i + n)],
    ),
    right=(
        r"ejemplos $i, \dots, i+n-1$",
        lambda all_of, i, n: all_of[(all_of >= i) & (all_of <= i + n - 1)],
    ),
    truth=lambda all_of, i, n: all_of[i : i + n],
    cases={"ejemplos de un lote con n=4": lambda batch: len(batch(np.arange(10), 2, 4))},
)

# %% [markdown]
# En el bucle de los apuntes 001 para MNIST, las líneas que informan cada cien lotes quedaron fuera
# del `for` interior: solo miran el número del último lote, y nunca imprimen nada.


# %%
def batches(images=60_000, size=64):
    return range(math.ceil(images / size))


errata.judge(
    "N2",
    "001:524-528",
    "el informe de la pérdida fuera del bucle",
    quote="`if i % 100 == 99:`",
    printed=("`if i % 100 == 99` tras el bucle de lotes", lambda: batches()[-1:]),
    right=("dentro del bucle de lotes", batches),
    cases={
        "líneas por época con las imágenes de MNIST en lotes de 64": Measure(
            lambda looked_at: sum(i % 100 == 99 for i in looked_at()), truth=len(batches()) // 100
        )
    },
)

# %% [markdown]
# ## Una tasa demasiado alta
#
# No produce sobreajuste, como dicen los apuntes 001: produce divergencia. Sobreajustar es acertar
# de más en el entrenamiento, y aquí es la propia pérdida de entrenamiento la que crece. En un tazón
# de curvatura $L$ el límite es $\eta = 2/L$, y $2(1+\beta)/L$ con momentum (lección 2).

# %%
RATES = np.linspace(0.15, 3.95, 20)  # η, para un tazón con L = 1


def grows(beta):
    """Con qué tasas 400 pasos en ½w² acaban más lejos que al empezar."""
    end = lambda eta: compiled_walk(joc.sgd(eta, momentum=beta), lambda w, t: w, jnp.ones(()), 400)
    return np.abs(exact(jax.vmap(lambda eta: end(eta)[-1]), RATES)) > 1


errata.judge(
    "E28",
    "001:425",
    "una tasa alta no sobreajusta, diverge",
    quote="Esto puede llevar a un sobreajuste si no se ajusta correctamente la tasa de aprendizaje",
    printed=(r"tasa alta $\Rightarrow$ «sobreajuste»", lambda beta: np.zeros(len(RATES), bool)),
    right=(
        r"crece sin límite si $\eta > 2(1+\beta)/L$",
        lambda beta: 2 * (1 + beta) < RATES,
    ),
    truth=grows,
    cases={
        f"de 20 tasas entre 0,15/L y 3,95/L, con cuántas crece la pérdida ({words})": (
            lambda which, beta=beta: np.sum(which(beta))
        )
        for words, beta in (("sin momentum", 0.0), ("β=0,9", 0.9))
    },
)

# %% [markdown]
# ## ¿Adónde llega?
#
# El lote completo quita ruido, y los apuntes 001 concluyen que eso «facilita la convergencia hacia
# el mínimo global». Lo que facilita es llegar a un punto con $\nabla J = 0$, el que tenga más
# cerca; que sea el global depende de dónde se empiece, salvo que $J$ sea convexa.


# %%
def two_valleys(w):
    return w**4 / 4 - w**2 / 2 + w / 5


VALLEYS = np.sort(np.roots([1.0, 0.0, -1.0, 0.2]).real)  # un mínimo, un máximo, un mínimo
arrived = lambda: walk(joc.sgd(0.05), lambda w, t: w**3 - w + 0.2, 1.5, 2000)[-1]

# %%
errata.judge(
    "E29",
    "001:220",
    "el lote completo no lleva al mínimo global",
    quote="lo que facilita la convergencia hacia el mínimo global",
    printed=("«convergencia hacia el mínimo global»", lambda: min(VALLEYS, key=two_valleys)),
    right=(r"hacia un punto con $\nabla J = 0$; global solo si $J$ es convexa", lambda: VALLEYS[2]),
    truth=arrived,
    cases={
        "pérdida final desde w=1,5 en w⁴/4 − w²/2 + w/5": lambda end: two_valleys(end()),
    },
)

# %% [markdown]
# Tampoco es verdad que el gradiente de una función convexa «siempre apunte en la dirección del
# óptimo» (apuntes 002): solo forma con ella un ángulo de menos de 90°, y en un valle alargado, casi
# eso.


# %%
CURVATURES, HERE = np.array([1.0, 100.0]), np.array([1.0, 1.0])  # ½ Σ a w², con el óptimo en 0


def cosine(g, w=HERE):
    return float(g @ w / np.linalg.norm(g) / np.linalg.norm(w))


errata.judge(
    "N3",
    "002:463",
    "el gradiente convexo no apunta al óptimo",
    quote="Cuando E es convexa, el gradiente siempre apunta en la dirección del óptimo.",
    printed=(r"$-\nabla E$ apunta hacia $w^*$", lambda: HERE),
    right=(
        r"$\langle -\nabla E,\, w^* - w\rangle \geq E(w) - E(w^*) \geq 0$",
        lambda: CURVATURES * HERE,
    ),
    truth=lambda: exact(jax.grad(lambda w: 0.5 * jnp.sum(CURVATURES * w**2)), HERE),
    cases={
        "coseno entre −∇E y la dirección del óptimo, curvaturas 1 y 100": lambda g: cosine(g()),
    },
)
assert 0.5 * np.sum(CURVATURES * HERE**2) <= CURVATURES * HERE @ HERE
along = np.array([10.0, 1.0])  # un punto en la dirección llana del valle
angle = np.degrees(np.arccos(cosine(CURVATURES * along, along)))
print(f"desde (10, 1) el gradiente y la dirección del óptimo forman {angle:.0f}°")
assert 75 < angle < 90

# %% [markdown]
# ## Palabras y símbolos
#
# Los apuntes 004 llaman «el gradiente» a $J$. Al pie de la letra, $\nabla J$ sería entonces la
# segunda derivada, y en un tazón el paso ya no dependería de $\theta$. Es un desliz de una palabra,
# pero está en la única frase que define los símbolos.


# %%
def step_with(slope):
    return lambda theta, eta: theta - eta * slope(theta)


errata.judge(
    "E32",
    "004:33",
    "J es la pérdida, no el gradiente",
    quote="$J$ es el gradiente evaluado en una muestra de datos",
    printed=(
        r"«$J$ es el gradiente»: $\nabla J$ sería la segunda derivada",
        step_with(lambda theta: 3.0),
    ),
    right=(
        r"$J$ es la función de pérdida y $\nabla J$ su gradiente",
        step_with(lambda theta: 3.0 * theta),
    ),
    truth=lambda theta, eta: walk(joc.sgd(eta), lambda w, t: 3.0 * w, theta, 1)[0],
    cases={"θ tras un paso en ½·3·θ² desde 2, con η=0,1": lambda step: step(2.0, 0.1)},
)

# %% [markdown]
# ## Una tasa que va a cero
#
# Para que SGD converja, dicen los apuntes 002, «debemos hacer la tasa de aprendizaje a cero». Hace
# falta, pero no basta. Robbins y Monro piden dos cosas: $\sum\eta_s = \infty$, para poder llegar
# desde cualquier sitio, y $\sum\eta_s^2 < \infty$, para que el ruido se apague. La fórmula que las
# propias diapositivas dan después, $\eta_s = \eta_0/(1+s\,\eta_d)$, cumple ambas.
#
# Con $\eta_s = \eta_0/(1+s)^2$, que también va a cero, el descenso se queda a medio camino: sobre
# $\tfrac12 w^2$, desde 1, llega a $\prod_n (1-\eta_0/n^2) =
# \sin(\pi\sqrt{\eta_0})/(\pi\sqrt{\eta_0})$.


# %%
def inverse_time(s, eta0=0.5, eta_d=0.1):
    return eta0 / (1 + s * eta_d)


def inverse_square(s, eta0=0.5):
    return eta0 / (1 + s) ** 2


def left(rate, steps):
    """Lo que falta para el óptimo de ½w² tras cada paso."""
    return np.cumprod(1 - rate(np.arange(steps)))


decay = joc.inverse_time_decay(0.5, 0.1)
errata.judge(
    "E33",
    "002:521",
    "una tasa que va a cero no basta",
    quote="Para lograr convergencia debemos hacer la tasa de aprendizaje a cero.",
    printed=(r"$\eta_s \to 0$", lambda steps: left(inverse_square, steps)),
    right=(
        r"$\eta_s \to 0$ con $\sum\eta_s = \infty$ y $\sum\eta_s^2 < \infty$",
        lambda steps: left(inverse_time, steps),
    ),
    truth=lambda steps: walk(joc.sgd(decay), lambda w, t: w, 1.0, steps),
    cases={
        "lo que queda por recorrer en ½w² tras 100 pasos, desde 1": lambda way: way(100)[-1],
    },
)
root, many = np.sqrt(0.5), 20_000
limit = np.sin(np.pi * root) / (np.pi * root)
assert abs(left(inverse_square, many)[-1] - limit) < 1 / many  # lo que falta por quitar

# %%
s = np.arange(10**6)
sums = [np.sum(inverse_time(s, 1.0, 0.01) ** power) for power in (1, 2)]
tenth = np.sum(inverse_time(s[: len(s) // 10], 1.0, 0.01))
bound = 1e4 * polygamma(1, 100.0)  # Σ de η² para todo s
print("con η₀ = 1 y η_d = 0,01,", end=" ")
print(spanish(f"Ση vale {tenth:.1f} en cien mil pasos y {sums[0]:.1f} en un millón;"))
print(spanish(f"Ση², {sums[1]:.2f} en un millón, y su límite es {bound:.2f}"))
assert sums[1] < bound < sums[1] + 0.02
assert abs(sums[0] - tenth - 100 * np.log(10)) < 0.5  # diez veces más pasos suman otro tanto

# %%
fig, (one, two) = plt.subplots(2, 1, figsize=(6.5, 7), layout="constrained")
xs = np.linspace(-1.5, 1.6, 121)
one.plot(xs, two_valleys(xs), color=GREY, lw=2)
way = np.concatenate([[1.5], walk(joc.sgd(0.05), lambda w, t: w**3 - w + 0.2, 1.5, 60)])
one.plot(way, two_valleys(way), "o", color=BLUE, ms=4, label="descenso desde 1,5")
one.plot(VALLEYS[0], two_valleys(VALLEYS[0]), "*", color=ORANGE, ms=14, label="mínimo global")
one.set(xlabel="$w$", ylabel="$J$", title="E29. El valle más cercano")
s = np.arange(1, 2001)
two.plot(s, left(inverse_time, 2000), color=BLUE, lw=2.5, label="$0{,}5/(1+0{,}1\\,s)$")
two.plot(s, left(inverse_square, 2000), color=ORANGE, lw=2, ls="--", label="$0{,}5/(1+s)^2$")
two.set(xscale="log", yscale="log", xlabel="paso", ylabel="distancia al óptimo")
two.set_title("E33. Dos tasas que van a cero")
for ax in (one, two):
    ax.legend()
show(fig, "adonde_llega", "Un descenso que llega al valle más cercano, y dos tasas que van a cero")

# %% [markdown]
# Arriba, el descenso acaba en el valle que tiene delante y no en el más hondo. Abajo, con la tasa
# que baja como $1/s$ la distancia sigue cayendo; con la que baja como $1/s^2$ se queda a medio
# camino para siempre.

# %% [markdown]
# ## La tabla
#
# Una fila por caso: lo que se midió y lo que dio cada fórmula.

# %%
errata.show()
show(errata.chart(), "cuanto", "Cuánto se equivoca cada errata, en el peor de sus casos")

# %% [markdown]
# ## En resumen
#
# - Estocástico es un paso por ejemplo; con cinco ejemplos y lotes de 32, todo es lote completo
#   (E23, E24).
# - Sumar o promediar cambia la tasa que sirve: Keras y PyTorch promedian (E25).
# - Una tasa por encima de $2(1+\beta)/L$ hace crecer la propia pérdida de entrenamiento: no es
#   sobreajuste (E28).
# - El descenso llega a un punto de gradiente cero, el que tenga más cerca; que la tasa vaya a cero
#   no basta para llegar (E29, E33).
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice cuántas actualizaciones hace una época con 1000 ejemplos y lotes de 64, contando y sin
#    contar el último, incompleto.
# 2. Cambia la salida de E29 por $w=0$. ¿A qué valle llega? ¿Y desde el máximo que hay entre los
#    dos?
# 3. Demuestra que con $\eta_s=\eta_0/(1+s)$ se cumplen las dos condiciones de Robbins y Monro, y
#    con $\eta_0/\sqrt{1+s}$ solo la primera.
# 4. Demuestra que en $\tfrac12\sum_i a_i w_i^2$ el coseno entre $\nabla E$ y $w$ no baja de
#    $2\sqrt{\kappa}/(1+\kappa)$ (desigualdad de Kantorovich).
#
# ## Para leer más
#
# - Robbins y Monro (1951), «A Stochastic Approximation Method».
# - Bottou, Curtis y Nocedal (2018), «Optimization Methods for Large-Scale Machine Learning».
# - Nesterov (2004), *Introductory Lectures on Convex Optimization*, capítulo 1.
