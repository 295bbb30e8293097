# %% [markdown]
# # 15.3. Soluciones: las lecciones 12 y 13
#
# Las respuestas de «Para practicar» de los barridos y de las afirmaciones. Lo que es un número se
# calcula aquí y se comprueba. Lo que pide volver a ejecutar una lección con otra constante se hizo,
# con la lección entera, y se cuenta lo que se vio: en otra máquina cambiarán las últimas cifras.
#
# **Hace falta** haber intentado el ejercicio.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import jaxopt_course as joc
from jaxopt_course.course import claims, show, show_table
from jaxopt_course.course.claims import decided, spanish

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Lección 12
#
# **12.1.**
#
# 1. Unas 2,07, si el ruido es normal; si las semillas malas lo son mucho, algo menos.
# 2. Casi a la mitad: lo que se promete de más pasa de 0,76 puntos con dos semillas a 0,41 con ocho
#    (con una, 1,04; medias de los tres optimizadores, informando siempre con otras ocho). No a
#    cero: con más configuraciones que probar hay más suerte que descontar.
# 3. No hay una respuesta. Por empezar por uno: el artículo de Adam (Kingma y Ba, 2015) dice que
#    cada rival se afinó «over a dense grid» y enseña la mejor curva. De los siete puntos dice, a
#    medias, el segundo; no el tamaño de la rejilla, ni si el mejor quedó en el borde, ni semillas,
#    ni intervalos, y compara costos de entrenamiento.
#
# **12.2.**
#
# 1. Desde 0,018; con las clases de la lección, desde algo más de 0,02. Como la media de las clases
#    es cero, podría creerse que los atributos constantes se quedan en cero; pero en cuanto las
#    predicciones de los negativos bajan más deprisa (tienen cinco atributos propios), el paso de
#    Adam los sube, y contesta siempre «positivo».
# 2. Ya no: al informar, Adam pierde 0,021, y momentum, 0,032. La maldición no desaparece:
#    su cociente entre informar y elegir es todavía 1,35, y el de momentum, 1,85.
# 3. Con $\varepsilon\gg\sqrt{\hat v}$ el denominador es $\varepsilon$, y el paso,
#    $\frac{\eta\varepsilon(1-\beta_1^t)}{1-\beta_1}\cdot\frac{m_t}{(1-\beta_1^t)\,\varepsilon}
#    =\eta\,\frac{m_t}{1-\beta_1}=\eta\sum_j\beta_1^{t-j}g_j$, que es el de la suma.
#
# **12.3.**
#
# 1. No lo es: aunque la red sea lineal en $x$, no lo es en sus pesos, que se multiplican. A la
#    izquierda del mapa, donde apenas aprende una capa, la dimensión es 1,02, la de una curva; en el
#    mapa entero, 1,27. Explota en dos tercios del mapa.
# 2. No: la dimensión es la misma en el recuadro, 1,37, y casi la misma en el mapa entero (de 1,18 a
#    1,16). Converge el mismo 63,3 %: quien iba a explotar ya había explotado.
# 3. En el borde de la izquierda, $\log_{10}\eta_W$ de 0,6 a 1 y $\log_{10}\eta_v$ de 1,1 a 1,5, la
#    dimensión es 0,93, lo que da el método con un círculo: allí es una curva. No se parece al
#    entero.
#
# **12.4.**
#
# 1. Ninguno de los dos: con 960 pasos el coseno queda 0,14 ± 0,48 puntos por encima de
#    Schedule-Free, y ninguno se separa de Adam (+0,55 ± 0,60 y +0,40 ± 0,52). Gana Muon, y momentum
#    también.
# 2. Al principio va muy por detrás: promedia unos quinientos pasos, más de los que hay, y arrastra
#    los pesos iniciales. Con tasa 0,01 y cuatro semillas, en el paso 24 acierta el 20 % (los
#    entrenados, el 85 %; con 0,98, el 53 %), y en el 240 todavía el 82 %. Al final alcanza y pasa:
#    91,6 %, por 90,4 % con 0,98 y 89,9 % los entrenados, que ya bajaban.
# 3. Un paso de Muon duró aquí diez veces el de AdamW (664 y 66 µs, en una CPU ocupada y con esta
#    red, que es diminuta): a igual tiempo le tocan 48 pasos en vez de 480. El cociente baja con la
#    red y con la máquina; hay que medirlo en la de uno.
# 4. Si $O$ tiene valores singulares uno, $\lVert O-USV^\top\rVert_F^2$ es $r+\sum s_i^2$ menos
#    $2\operatorname{tr}(O^\top USV^\top)$. La traza es $\sum_is_i\,(U^\top OV)_{ii}$, y ningún
#    elemento de $U^\top OV$ pasa de uno: el máximo, $\sum s_i$, se alcanza con $O=UV^\top$.

# %%
half_open = (np.arange(200_000) + 0.5) / 200_000
best_of_32 = np.mean(stats.norm.ppf(half_open ** (1 / 32)))
print(spanish(f"el mejor de 32 normales: {best_of_32:.2f} desviaciones típicas"))
assert abs(best_of_32 - 2.07) < 0.005


def wilson_error(share, epsilons, n=40, steps=3000):
    """El error de prueba de Adam en el ejemplo de Wilson, para cada ε (como en la lección)."""
    y = np.where(np.arange(n) < round(share * n), 1.0, -1.0)
    own = np.where(y > 0, 1, 5)
    X = np.zeros((n, 3 + own.sum()))
    X[:, 0], X[:, 1:3] = y, 1.0
    for i, (begin, count) in enumerate(zip(3 + np.cumsum(own) - own, own, strict=True)):
        X[i, begin : begin + count] = 1.0
    top = np.linalg.eigvalsh(X @ X.T / n).max()

    def descend(eps):
        tx = joc.adam(joc.cosine_decay_schedule(0.3 / top * (eps + 0.01), steps), eps=eps)

        def step(carry, _):
            w, state = carry
            u, state = tx.update(X.T @ (X @ w - y) / n, state, w)
            return (joc.apply_updates(w, u), state), None

        w = jnp.zeros(X.shape[1])
        return jax.lax.scan(step, (w, tx.init(w)), None, length=steps)[0][0]

    with jax.enable_x64(True):
        w = np.asarray(jax.jit(jax.vmap(descend))(epsilons))
    asked = np.array([[1.0, 1, 1], [-1.0, 1, 1]])  # una de cada clase, sin atributos conocidos
    wrong = np.sign(w[:, :3] @ asked.T) != [1, -1]
    return wrong @ [share, 1 - share]


epsilons = np.array([1e-6, 1e-3, 0.01, 0.018, 0.032, 0.1, 10.0])
by_share = {share: wilson_error(share, epsilons) for share in (0.65, 0.5)}
wrong = pd.DataFrame({f"{share:.2g} de positivos": x for share, x in by_share.items()}, epsilons)
show_table(wrong.rename_axis("error, según ε"), 2)
for share, errors in by_share.items():
    assert np.allclose(errors[epsilons < 0.011], 1 - share) and not errors[epsilons > 0.03].any()
U, S, V = np.linalg.svd(rng.normal(size=(6, 4)), full_matrices=False)
far = lambda near: np.linalg.norm(near - U * S @ V)
others = [np.linalg.qr(rng.normal(size=(6, 4)))[0] for _ in range(1000)]
assert far(U @ V) < min(map(far, others))

# %% [markdown]
# ## Lección 13
#
# **13.1.**
#
# 1. SGD, cuatro veces; momentum, dos, si a cada tazón se le da su $\beta$. Con $\beta=0{,}9$ fija
#    apenas cambian: los dos tazones encogen por $\sqrt\beta$, y no se gana ni se pierde nada.
# 2. Con cero todos vuelven a los pasos del tazón recto. Con $\pi/4$ SGD (211) y momentum (85) no lo
#    notan, Adam apenas (de 78 a 87), y pierden los demás: RMSProp, de 180 a 307; Adamax, de 68 a
#    176; Adagrad, de 4 a 303.
# 3. Sí: con su $\beta$ momentum gana también con condición 10, y más cuanto más alargado, que son
#    las tres preguntas. En el redondo lo mejor es $\beta=0$, y empata con SGD porque *es* SGD.
# 4. La velocidad tras el paso $s$ es $\eta\,\frac{1-\beta^s}{1-\beta}$. Sumando de 1 a $t$,
#    $\frac\eta{1-\beta}\big(t-\sum_s\beta^s\big)$, y
#    $\sum_{s=1}^t\beta^s=\beta\frac{1-\beta^t}{1-\beta}$.

# %%
BETAS, ANGLES = np.linspace(0, 0.95, 20), np.linspace(0.1, 6.2, 9)


def needed(kappa, steps=1200):
    """Pasos hasta un centésimo de la distancia sin volver a salir: la mejor tasa, por β."""
    rates = 2 * (1 + BETAS[:, None]) * np.linspace(0.02, 0.995, 60)
    rate, beta = rates[..., None, None], BETAS[:, None, None, None]
    curvature = np.array([1.0, 1 / kappa])
    w = np.broadcast_to(np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1), (*rates.shape, 9, 2))
    v, last = np.zeros_like(w), np.zeros(w.shape[:-1])
    for t in range(1, steps + 1):
        v = beta * v + rate * curvature * w
        w = w - v
        last = np.where(np.hypot(w[..., 0], w[..., 1]) > 0.01, t, last)
    return (np.median(last, axis=-1) + 1).min(axis=1)


kappas = np.array([1, 10, 30, 100, 200, 400])
steps = {kappa: needed(kappa) for kappa in kappas}
nine = int(np.abs(BETAS - 0.9).argmin())
ways = {
    "SGD": [steps[kappa][0] for kappa in kappas],
    "momentum, β = 0,9": [steps[kappa][nine] for kappa in kappas],
    "momentum, su mejor β": [steps[kappa].min() for kappa in kappas],
}
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for (name, counts), colour in zip(ways.items(), (BLUE, ORANGE, GREEN), strict=True):
    ax.loglog(kappas, counts, "o-", color=colour, label=name)
ax.set(xlabel="condición κ", ylabel="pasos, con la mejor tasa")
ax.legend(frameon=False)
show(fig, "condicion", "Pasos hasta llegar según la condición del tazón, con β fija y con la mejor")
for name, counts in ways.items():
    print(spanish(f"{name}: de 100 a 400, {counts[5] / counts[3]:.1f} veces los pasos"))
gain = [steps[kappa][0] / steps[kappa].min() for kappa in (1, 10, 100)]
print(spanish("SGD / momentum con su β: " + ", ".join(f"{x:.1f}" for x in gain)))
assert 3.5 < ways["SGD"][5] / ways["SGD"][3] < 4.5
assert gain[0] == 1 and 1.5 < gain[1] < gain[2]
t, beta = np.arange(1, 51), 0.9
run = np.cumsum((1 - beta**t) / (1 - beta))
assert np.allclose(run, (t - beta * (1 - beta**t) / (1 - beta)) / (1 - beta))

# %% [markdown]
# **13.2.**
#
# 1. Escapa menos y se queda más. Con la tasa 0,06 el ruido constante lleva al pozo central al 32 %,
#    y el que se apaga, al 18 %, los que ya estaban; con tasas altas ocurre al revés: el constante
#    echa a todos y el que se apaga deja dentro al 24 %.
# 2. Sí, y en proporción inversa: la mejor es 0,15 con ruido 2, 0,06 con 4 y 0,03 con 8. Lo que
#    cuenta es el tamaño del salto, tasa por ruido; nunca pasan de la tercera parte.
# 3. Desde 0,48 con $C=3$, y desde 0,10 con $C=10$: cuanto mayor es el gradiente raro, más dura en
#    la memoria lo bastante para encoger los otros dos pasos.
# 4. $C-1-1=C-2$, positivo si $C>2$: la función que se minimiza, la suma, tiene esa pendiente en
#    todo el intervalo y su mínimo es el extremo izquierdo.

# %%
WELL, RATES = np.pi / 2, np.array([0.003, 0.03, 0.06, 0.1, 0.15, 0.3, 0.45])
starts = rng.uniform(-9, 9, 1000)


def central(noise, steps=600):
    """Por tasa: la parte que acaba cincuenta pasos seguidos en el pozo central."""
    draw = np.random.default_rng(1)
    w, stays = np.broadcast_to(starts, (len(RATES), len(starts))), True
    for t in range(1, steps + 1):
        pull = w / 10 + 2 * np.sin(2 * w) + noise(t) * draw.normal(size=w.shape)
        w = w - RATES[:, None] * pull
        if t > steps - 50:
            stays = stays & (np.abs(w) < WELL)
    return stays.mean(axis=1)


noises = {
    "sin ruido": lambda t: 0.0,
    "ruido 2": lambda t: 2.0,
    "ruido 4": lambda t: 4.0,
    "ruido 8": lambda t: 8.0,
    "4 / √t": lambda t: 4 / t**0.5,
}
found = {name: central(noise) for name, noise in noises.items()}
show_table(
    (100 * pd.DataFrame(found, RATES)).round().rename_axis("% en el central, según la tasa"), 2
)
best = {name: RATES[shares.argmax()] for name, shares in found.items()}
assert best["ruido 2"] > best["ruido 4"] > best["ruido 8"] and found["4 / √t"][-1] > 0.2
assert found["ruido 4"][2] > found["4 / √t"][2] + 0.1 and found["ruido 4"][-1] == 0


def goes_wrong(C, decays):
    """Si Adam con β₁ = 0 acaba a la derecha en el ejemplo de Reddi, para cada β₂."""
    w, v, late = np.zeros(len(decays)), np.zeros(len(decays)), 0.0
    for t in range(1500):
        g = C if t % 3 == 0 else -1.0
        v = decays * v + (1 - decays) * g**2
        w = np.clip(w - 0.01 * g / np.sqrt(v / (1 - decays ** (t + 1))), -1, 1)
        late = late + w * (t >= 1470)
    return late > 0


decays = np.linspace(0.01, 0.99, 197)
turns = {C: decays[~goes_wrong(C, decays)].min() for C in (3.0, 10.0)}
print(spanish("acierta desde β₂ = " + " y ".join(f"{b:.2f} (C = {C:g})" for C, b in turns.items())))
assert abs(turns[3.0] - 0.48) < 0.015 and abs(turns[10.0] - 0.10) < 0.015

# %% [markdown]
# **13.3.**
#
# 1. Lo mismo, 1,35 veces $\eta$: en el pico $m$ y $\sqrt v$ son proporcionales a él, y el tamaño se
#    va. Lo que cambia es lo que tarda después.
# 2. Casi nadie: 1,3 décadas SGD, 0,9 RMSProp y 1,4 Adam, las mismas que con 30. En SGD bajan a la
#    vez la mayor tasa que llega y la menor, porque casi todo lo que se anda se anda en los pasos
#    con el factor; los que dividen no notan su tamaño.
# 3. Con 0,9989: Adamax tiene que olvidar el pico hasta el doble de lo habitual,
#    $\beta_2^t=2/1000$, en los 5809 pasos de Adam.
# 4. $S_t=t\,g^2$, y el paso es $\eta\,g/\sqrt{t\,g^2}$.


# %%
def around(peak, b2=0.999, maximum=False):
    """El paso en un pico entre gradientes de uno, y lo que tarda en volver a la mitad."""
    m = v = 0.0
    for t in range(1, 8001):
        g = peak if t == 201 else 1.0
        m = 0.9 * m + 0.1 * g
        v = max(b2 * v, g) if maximum else b2 * v + (1 - b2) * g**2
        size = v if maximum else np.sqrt(v / (1 - b2**t))
        step = m / (1 - 0.9**t) / size
        if t == 201:
            jump = step
        if t > 250 and step > 0.5:
            return jump, t - 201
    return jump, np.inf


adam, adamax = around(1e3), around(1e3, 0.99893, maximum=True)
higher = around(1e6)
print(spanish(f"Adam: {adam[0]:.2f} η y {adam[1]} pasos; con un pico de 10⁶, {higher[0]:.2f} η"))
print(spanish(f"Adamax con β₂ = 0.99893: {adamax[1]} pasos"))
assert abs(higher[0] / adam[0] - 1) < 0.02 and abs(adamax[1] / adam[1] - 1) < 0.01

# %% [markdown]
# **13.4.**
#
# 1. $\sqrt{\frac1{128}\cdot\frac{1024-128}{1023}}=0{,}083$ veces la de un ejemplo: 1,33 si aquella
#    es 16,1.
# 2. Entre los dos: 85 ejemplos, por 72 con uno, 107 con 32 (en este sorteo) y 1218 con todos. Su
#    mayor tasa estable, 0,25, es casi tres veces la de uno y la tercera parte de la de 32.
# 3. Baja también, pero más despacio: en la segunda mitad queda en $5\cdot10^{-3}$, por
#    $8\cdot10^{-2}$ con tasa constante y $2\cdot10^{-4}$ con $1/t$. El exceso sigue a la tasa, que
#    al final es $2{,}7\cdot10^{-3}$.
# 4. Entre dos elegidos la covarianza es $-\frac{\sigma^2}{N-1}$, porque la suma de los $N$ es fija.
#    La varianza de la media es $\frac1{B^2}\big(B\sigma^2-B(B-1)\frac{\sigma^2}{N-1}\big)
#    =\frac{\sigma^2}B\cdot\frac{N-B}{N-1}$.

# %%
each = rng.normal(size=1024)
means = [rng.permutation(each)[:128].mean() for _ in range(4000)]
share = np.std(means) / each.std()
print(spanish(f"desviación con lotes de 128: {share:.3f} veces la de uno"))
assert abs(share - (896 / 1023 / 128) ** 0.5) < 0.005

# %% [markdown]
# **13.5.**
#
# 1. Con dos capas, 1,2 décadas en vez de 0,9: algo más, y también acierta algo más con la mejor.
#    Adam sigue en 2,0.
# 2. Sí: con 0,99 todos se quedan entre 0,5 y 0,7 décadas. Adam, que con nueve décimos tenía más del
#    doble que SGD, lo iguala (0,5), y el más ancho es RMSProp (0,7). Su ventaja es que perdona
#    tasas regulares, no que acierte la mejor con menos cuidado.
# 3. `"lion": joc.lion(1e-4)`, por ejemplo: una memoria, 4 bytes por peso. AMSGrad guarda tres, 12.
# 4. Con $\varepsilon=0$, si $g\to cg$ entonces $\hat m\to c\,\hat m$ y $\sqrt{\hat v}\to
#    c\sqrt{\hat v}$, y el cociente no cambia. La tasa útil de SGD se divide por $c$.
#
# **13.6.**
#
# 1. A cero: cada paso multiplica por $1-\eta\lambda=0{,}997$, y la mitad llega en
#    $\ln2/0{,}003\approx231$ pasos.
# 2. No: con 0,1, el que elige la validación, +0,14 ± 0,22 puntos en prueba. Encoge los pesos igual
#    (de 19,7 a 10,6 de norma con decaimiento 1), pero ya no hay ruido que memorizar.
# 3. Casi nunca se puede: con las tasas que mejor entrenan, en 480 pasos no llega a 0,1 ninguna de
#    las doce semillas de SGD ni de momentum, y una sola de Adam, en el último. Para comparar a
#    igual pérdida hay que poner el listón donde lleguen los tres, o dar más pasos.
# 4. El gradiente $\lambda w$ multiplica $\hat m$ y $\sqrt{\hat v}$ por el mismo $\lambda$, que se
#    va. En el primer paso queda $\eta\,w/|w|$, y mientras $w$ cambie poco respecto a sí mismo,
#    también en los siguientes: $\hat m/\sqrt{\hat v}\approx\pm1$.
#
# **13.7.**
#
# 1. Por ejemplo, que momentum saca de las mesetas mucho más rápido: la respuesta es sí cuando solo
#    se pregunta a la misma tasa; a un SGD con más tasa no le gana.
# 2. Del lote completo dicen los apuntes 001 que llega al mínimo global, y sale que no; los apuntes
#    002, que puede quedarse en un punto que no es el mejor, y sale que sí. De Adam, que es
#    eficiente y que tiene mayor costo: dependen las dos.
# 3. Una posible está abajo. Lo que importa es decidir las preguntas antes de medir.

# %%
price = {
    name: int(joc.audit(tx, jnp.zeros(1000))["state_bytes"].iloc[-1]) / 1000
    for name, tx in {"lion": joc.lion(1e-4), "amsgrad": joc.amsgrad(1e-3)}.items()
}
print("; ".join(f"{name}, {size:.0f} bytes por peso" for name, size in price.items()))
assert np.allclose(list(price.values()), [4, 12], atol=0.1)
assert abs(np.log(0.5) / np.log(0.997) - 231) < 0.5
paths = {}
for l2 in (1e-3, 1.0):
    tx = joc.chain(joc.add_decayed_weights(l2), joc.adam(0.01, eps=0.0))
    w, state = jnp.float32(1.0), tx.init(jnp.float32(1.0))
    paths[l2] = []
    for _ in range(20):
        u, state = tx.update(jnp.float32(0), state, w)
        w = joc.apply_updates(w, u)
        paths[l2].append(float(u))
assert np.allclose(paths[1e-3], paths[1.0], rtol=1e-3) and abs(paths[1.0][0] + 0.01) < 1e-6


# %% tags=["show-input"]
def bounces(name, rate, angle):
    """Cuántas veces cambia de signo la coordenada empinada en cuarenta pasos."""
    tx = getattr(joc, name)(rate, 0.9)
    curvature = jnp.array([1.0, 0.01])
    w = jnp.array([jnp.cos(angle), jnp.sin(angle)])

    def step(carry, _):
        w, state = carry
        u, state = tx.update(curvature * w, state, w)
        w = joc.apply_updates(w, u)
        return (w, state), w[0]

    signs = jnp.sign(jax.lax.scan(step, (w, tx.init(w)), length=40)[1])
    return jnp.sum(signs[1:] != signs[:-1])


angles = jnp.asarray(rng.uniform(0.1, 1.4, 24))
count = {
    (name, rate): np.asarray(jax.vmap(lambda a, n=name, r=rate: bounces(n, r, a))(angles), float)
    for name in ("momentum", "nesterov")
    for rate in (0.1, 1.0)
}
mine = claims.claim(
    "Nesterov", "000:44", "rebota menos que momentum",
    f"cambios de signo en 40 pasos: {count['momentum', 0.1].mean():.1f} y "
    f"{count['nesterov', 0.1].mean():.1f} con tasa 0.1, {count['momentum', 1.0].mean():.1f} y "
    f"{count['nesterov', 1.0].mean():.1f} con tasa 1",
    con_tasa_media=decided(count["momentum", 0.1] - count["nesterov", 0.1]),
    con_tasa_alta=decided(count["momentum", 1.0] - count["nesterov", 1.0]),
)  # fmt: skip
print(f"{mine.about}, «{mine.words}»: {mine.verdict}. {mine.reason}")
