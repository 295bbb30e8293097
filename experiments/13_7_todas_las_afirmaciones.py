# %% [markdown]
# # 13.7. Ventajas y desventajas: todas las afirmaciones
#
# Todo lo que los apuntes dicen de sus optimizadores, en un cuadro: la afirmación y el apartado de
# los apuntes, el veredicto, lo que se midió y la lección que lo mide. Cada afirmación tiene un solo
# veredicto. **Se cumple** si todas las preguntas que la deciden salen que sí, **no se cumple** si
# todas salen que no, y **depende** en los demás casos; entonces el cuadro dice qué pregunta falla y
# cuál queda sin decidir.
#
# Aquí no se calcula nada: los números son los que escribieron las lecciones al ejecutarse enteras,
# y una prueba de la biblioteca vuelve a ejecutarlas y los compara.
#
# **Al terminar sabrás** dónde está medida cada afirmación de los apuntes y qué número la decide.
#
# **Hace falta** la [parte 13.1](13_1_velocidad_y_escala.py), que explica cómo se juzgan.

# %%
import matplotlib.pyplot as plt

from jaxopt_course.course import show
from jaxopt_course.course.claims import verdict, whole
from jaxopt_course.course.verdicts import show_all

# %% [markdown]
# ## Cuántas se cumplen
#
# Algo más de la mitad se cumplen. Las demás, casi todas, dependen: de con quién se compare, de cuál
# sea la tasa o de qué se cuente. Que una frase sea falsa sin más es raro.

# %%
COLOURS = {"se cumple": "#009E73", "depende": "#E69F00", "no se cumple": "#D55E00"}
WORDS = list(COLOURS)
claims = whole()
people = list(dict.fromkeys(about for about, _, _ in claims))
count = {
    word: [
        sum(key[0] == about and verdict(parts) == word for key, parts in claims.items())
        for about in people
    ]
    for word in WORDS
}
for word in WORDS:
    print(f"{word}: {sum(count[word])} de {len(claims)}")

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
left = [0] * len(people)
for word in WORDS:
    ax.barh(people, count[word], left=left, color=COLOURS[word], label=word)
    left = [a + b for a, b in zip(left, count[word], strict=True)]
ax.invert_yaxis()
ax.set(xlabel="afirmaciones")
ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3)
show(fig, "veredictos", "Cuántas afirmaciones de cada optimizador se cumplen, dependen o no")
met, mixed, unmet = (sum(count[word]) for word in WORDS)
assert met + mixed + unmet == len(claims)
assert len(claims) / 2 < met < 0.65 * len(claims) and unmet < mixed / 4

# %% [markdown]
# ## El cuadro entero

# %%
show_all()

# %% [markdown]
# ## En resumen
#
# - Casi ninguna afirmación es falsa sin más; las que dependen lo hacen de la tasa, del rival o de
#   lo que se cuente.
# - «Rápido», «estable» y «eficiente» no dicen nada hasta que se pregunta algo con sí o no.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Elige una afirmación que dependa y di, sin mirar la lección, qué pregunta la haría cumplirse.
# 2. Busca dos afirmaciones que se contradigan en los apuntes. ¿Qué veredicto tiene cada una?
# 3. Escribe con `claim` una afirmación tuya sobre un optimizador, con dos preguntas, y mídela.
#
# ## Para leer más
#
# - Schmidt, Schneider y Hennig (2021), «Descending through a Crowded Valley».
# - Dahl y otros (2023), «Benchmarking Neural Network Training Algorithms».
