"""What a study means, in Spanish: who wins, how sure, what to mind, the table of winners."""

SENTENCES = {
    # who wins
    "{n} of {seeds}": "{n} de {seeds}",
    "{metric} {value}, mean of {seeds}": "{metric} {value}, media de {seeds}",
    "{metric} {value} with each of {seeds}": "{metric} {value} con cada una de {seeds}",
    "{name} with {numbers}": "{name} con {numbers}",
    "{winner} reaches {result}.": "{winner} alcanza {result}.",
    "{winner} alone has a score: {result}.": "Solo {winner} tiene resultado: {result}.",
    "{names} tie: {result}.": "{names} empatan: {result}.",
    "{winner} alone has a score on all {seeds}: {result}.":
        "Solo {winner} tiene resultado con {seeds}: {result}.",
    "{winner} wins: {result}, {ahead} better than {second}.":
        "{winner} gana: {result}, {ahead} mejor que {second}.",
    "{winner} leads the search: {result}, {ahead} better than {second}.":
        "{winner} va primero en la búsqueda: {result}, {ahead} mejor que {second}.",
    "{name} has {value}, but on {n} of {seeds}: it ranks after.":
        "{name} tiene {value}, pero con {n} de {seeds}: queda detrás.",
    "{name} has learned nothing: one answer for all examples does as well.":
        "{name} no ha aprendido nada: una misma respuesta para todos los ejemplos da lo mismo.",
    "no optimizer has a configuration that finished on all its {seeds}":
        "ningún optimizador tiene una configuración que terminara con todas sus {seeds}",
    "No winner: {why}.": "Sin ganador: {why}.",
    # how sure
    "Not confirmed on fresh seeds: a best score includes the luck of having been picked.":
        "Sin confirmar con semillas nuevas: el mejor resultado incluye la suerte de haber sido "
        "elegido.",
    "One {fresh_seed} gives no interval: it separates nothing.":
        "Una sola {fresh_seed} no da intervalo: no separa nada.",
    "On the {seeds} that both have {name} is better.":
        "Con las {seeds} que ambos tienen, {name} es mejor.",
    "Paired over {seeds} (Holm, 95%): {said}.": "Por pares de {seeds} (Holm, 95 %): {said}.",
    "Paired over {seeds} (95%): {said}.": "Por pares de {seeds} (95 %): {said}.",
    "all others": "todos los demás",
    "separated from {names}": "separado de {names}",
    "not from {names}": "no de {names}",
    "not separated from {names}": "no separado de {names}",
    " ({seeds} in common)": " ({seeds} en común)",
    "difference {difference} on every {seed}, no spread to judge by":
        "diferencia {difference} con cada {seed}, sin dispersión con que juzgar",
    "difference {difference}": "diferencia {difference}",
    " on {seeds}": " con {seeds}",
    "more than {n}": "más de {n}",
    " ({difference}; {enough} would separate)": " ({difference}; {enough} los separarían)",
    "Sign-flip test against {name}: p = {p}; {seeds} cannot give less than {smallest}.":
        "Prueba de cambio de signos frente a {name}: p = {p}; {seeds} no pueden dar menos de "
        "{smallest}.",
    # two clocks
    "time of a step": "tiempo de un paso",
    "step": "paso",
    "rank by time": "puesto por tiempo",
    "by time": "por tiempo",
    "; step: its time, the quickest's is 1; by time: rank if all train as long":
        "; paso: su tiempo, el del más rápido es 1; por tiempo: puesto si todos entrenan lo mismo",
    "A step of {slow} takes {times} times as long as one of {quick}, the quickest.":
        "Un paso de {slow} tarda {times} veces lo que uno de {quick}, el más rápido.",
    "Given the seconds that {quick} takes, {first} is first; {n} of {all} change place.":
        "En los segundos que tarda {quick}, {first} es el primero; {n} de {all} cambian de puesto.",
    "Given the seconds that {quick} takes, {first} is first, too; {n} of {all} change place.":
        "En los segundos que tarda {quick}, {first} también es el primero; {n} de {all} cambian de "
        "puesto.",
    "none": "ninguno",
    # what to mind
    "The search itself had put {name} first.": "La propia búsqueda había puesto primero a {name}.",
    "the scheduler": "el planificador",
    "{n} of {trials} diverged; a configuration with a diverged seed has no score and ranks last.":
        "Divergencia en {n} de {trials}; una configuración con una semilla que diverge no tiene "
        "resultado y queda la última.",
    "{n} of {trials} were stopped early by {scheduler}; they have no score and cannot win.":
        "Parada temprana por {scheduler} en {n} de {trials}: sin resultado, y así no se puede "
        "ganar.",
    "{n} of {trials} converged before their budget was used up; they score with their best "
    "evaluation.":
        "Convergencia antes de agotar el presupuesto en {n} de {trials}; cuenta la mejor "
        "evaluación.",
    "{n} of {trials} did not finish; scores are means of the seeds that did, and configurations "
    "with all seeds finished rank first.":
        "Sin terminar: {n} de {trials}; los resultados son medias de las semillas terminadas, y "
        "las configuraciones con todas terminadas van primero.",
    "{why}; a configuration with such a trial has no score.":
        "{why}; una configuración con un entrenamiento así no tiene resultado.",
    "On fresh seeds {why}; an optimizer with such a trial has no score.":
        "Con semillas nuevas, {why}; un optimizador con un entrenamiento así no tiene resultado.",
    "On fresh seeds {names} diverged at least once: the mean given there is of the finished seeds "
    "only.":
        "Con semillas nuevas hubo divergencia en {names}: la media dada ahí es solo de las "
        "semillas que terminaron.",
    "{trials} on fresh seeds did not finish.": "{trials} con semillas nuevas sin terminar.",
    "Best at the edge of the range tried, so that a wider one may do better: {ends}.":
        "Mejor en el borde del rango probado, así que uno más amplio puede dar más: {ends}.",
    "{metric} is {what} in {n} of the {trials} that finished: {why}":
        "{metric} es {what} en {n} de los {trials} que terminaron: {why}",
    "infinite": "infinita",
    "not a number": "indefinida (NaN)",
    "infinite or not a number": "infinita o indefinida (NaN)",
    "the outputs of these networks are beyond what numbers hold":
        "las salidas de estas redes exceden lo que un número puede guardar",
    "their loss is finite, so it is the metric that is undefined":
        "su pérdida es finita, así que es la métrica la que no está definida",
    "in some of them the validation loss is not finite either":
        "en algunos tampoco la pérdida de validación es finita",
    "AUC needs both classes in the data that it is measured on":
        "AUC necesita ambas clases en los datos con que se mide",
    "{n} of {configurations} has fewer than {most}; it ranks after those with all, for a mean of "
    "few {seeds} is luck more easily.":
        "{n} de {configurations} tiene menos de {most}; queda detrás de las que tienen todas, pues "
        "una media de pocas {seeds} es suerte más fácilmente.",
    "{n} of {configurations} have fewer than {most}; they rank after those with all, for a mean of "
    "few {seeds} is luck more easily.":
        "{n} de {configurations} tienen menos de {most}; quedan detrás de las que tienen todas, "
        "pues una media de pocas {seeds} es suerte más fácilmente.",
    "{names} has fewer fresh seeds than others, and ranks after them.":
        "{names} tiene menos semillas nuevas que otros y queda detrás.",
    "{names} have fewer fresh seeds than others, and rank after them.":
        "{names} tienen menos semillas nuevas que otros y quedan detrás.",
    "Trainings that differ in {columns} may share data, as folds do: their scores depend on each "
    "other, and intervals over them are too narrow.":
        "Los entrenamientos que difieren en {columns} pueden compartir datos, como los pliegues: "
        "sus resultados dependen unos de otros, y sus intervalos son demasiado estrechos.",
    "{metric} of {name} is an error of {error} in {target} (root of the mean square)":
        "{metric} de {name}: es un error de {error} en {target} (raíz del cuadrado medio)",
    "numbers that changed on the way": "números que cambiaron por el camino",
    "Numbers changed while trainings ran: the tables and the figures have those that each began "
    "with, study.lineage has all others.":
        "Los números cambiaron mientras se entrenaba: las tablas y las figuras tienen aquellos con "
        "que empezó cada uno; study.lineage tiene todos los demás.",
    "; {metric} {value}": "; {metric} {value}",
    "; one answer for all examples has {error}":
        "; una misma respuesta para todos los ejemplos tiene {error}",
    "{metric} of {names} is no better than that of one answer for all examples ({value}).":
        "{metric} de {names}: no es mejor que la de una misma respuesta para todos los ejemplos "
        "({value}).",
    "{n} of {trials} did not diverge and are no better than one answer for all examples ({metric} "
    "{value}).":
        "Sin divergencia, pero no mejores que una misma respuesta para todos los ejemplos "
        "({metric} {value}): {n} de {trials}.",
    "{n} of {trials} did not diverge and is no better than one answer for all examples ({metric} "
    "{value}).":
        "Sin divergencia, pero no mejor que una misma respuesta para todos los ejemplos "
        "({metric} {value}): {n} de {trials}.",
    "Sure against all others.": "Seguro frente a todos los demás.",
    "Sure against {lost}.": "Seguro frente a {lost}.",
    "Not sure: {names} may be as good.": "No es seguro frente a {names}.",
    "Sure against {lost} only: {names} may be as good.":
        "Seguro solo frente a {lost}, no frente a {names}.",
    "No room here for {names}: the page has them.":
        "Aquí no caben {names}: están en la página.",
    "Each optimizer was tried in a box of its own: the page has their ranges.":
        "Cada optimizador se probó en su propia caja: la página tiene sus rangos.",
    "Tried: {ranges}.": "Probado: {ranges}.",
    "Weight decay leaves out biases and norms: {names}.":
        "El decaimiento de pesos deja fuera sesgos y normas: {names}.",
    # the table of winners
    "search: {metric}": "búsqueda: {metric}",
    "fresh seeds: {metric}": "semillas nuevas: {metric}",
    "{metric}": "{metric}",
    "search": "búsqueda",
    "test": "prueba",
    "trials diverged": "entrenamientos que divergieron",
    "with each seed": "con cada semilla",
    "has learned nothing": "no ha aprendido nada",
    "not re-trained": "no entrenado otra vez",
    "{n} of {seeds} {what}": "{what}: {n} de {seeds}",
    " (stopped at step {step})": " (detenido en el paso {step})",
    "search, fresh seeds: {metric}, mean over the {seeds} (± half of the 95% interval)":
        "búsqueda, semillas nuevas: {metric}, media de las {seeds} (± la mitad del intervalo del "
        "95 %)",
    "search: {metric}, mean over the {seeds}": "búsqueda: {metric}, media de las {seeds}",
    "; test: {metric} on the fresh seeds": "; prueba: {metric} con las semillas nuevas",
    "; test: {metric}": "; prueba: {metric}",
    "; diverged: share of the optimizer's trials":
        "; divergió: parte de los entrenamientos del optimizador",
    "; *: at the edge of the range tried": "; *: en el borde del rango probado",
}  # fmt: skip
