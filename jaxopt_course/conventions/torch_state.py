"""From PyTorch: a ``torch.optim`` optimizer in the middle of its training, brought over.

torch itself is not needed: a state dict is nested dicts of tensors or arrays.  Not in it, so to be
said: the schedule of the rate (``learning_rate=``), for SGD the number of steps done (``step=``,
which matters to a schedule only), and which parameter is which (``names=``), for torch numbers
them in the order in which they were given, JAX sorts dicts; unless the state dict has names
(``model.named_parameters()``, FSDP, ``torch.distributed.checkpoint``), and they are the leaves'.

Surprises: torch skips parameters without a gradient altogether, decay included, and begins the
memory of one at its first gradient, so that one without memory beside others is frozen or new: the
state dict does not tell, and it is asked (``frozen=``).  SGD without momentum has no memory at all,
so nothing tells which of its parameters are frozen, and none is unless ``frozen=`` says so; nor
does SGD count, so that one with a buffer may have been frozen since.  ``ReduceLROnPlateau`` and a
rate set by hand leave no trace in the state dict: the rate of that moment stays.  Leaves
that torch's optimizer was not given do not train, and that is said (a warning).
Linear weights are the transpose of Flax's kernels, which of square ones no shape tells.  Of a
complex parameter, torch's memories hold the real and the imaginary parts as two coordinates, and so
does the state here.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optax

from jaxopt_course.base import Scalar, ScalarOrSchedule
from jaxopt_course.conventions.arrays import number as finite
from jaxopt_course.conventions.arrays import step_count
from jaxopt_course.conventions.newer_states import factored, squeezed
from jaxopt_course.conventions.odd_values import (
    refuse_odd_options,
    refuse_odd_rates,
    refuse_odd_step,
)
from jaxopt_course.conventions.pairing import (
    Axes,
    leaf_of_each,
    spelled,
    warn_of_left_out,
    warn_of_square_kernels,
)
from jaxopt_course.conventions.ports import filled, gathered, grouped, matched
from jaxopt_course.conventions.torch_classes import (
    CLASSES,
    class_of,
    keeps,
    memories_kept,
    option,
    refuse_unknown,
    remembers,
    transform_of,
)
from jaxopt_course.conventions.torch_saved import memories_of, one_of, parameters_of
from jaxopt_course.tree import Tree, paths

Memory = Mapping[str, Mapping[str, Any]]  # leaf -> their name -> array


def from_torch(
    state_dict: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    params: Tree,
    *,
    optimizer: str | None = None,
    names: Sequence[str] | None = None,
    transpose: Axes = False,
    learning_rate: ScalarOrSchedule | Sequence[ScalarOrSchedule] | None = None,
    momentum: Scalar | None = None,
    step: int | None = None,
    frozen: Sequence[str] | None = None,
) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """A torch optimizer's hyperparameters and memory: ``(tx, state)``, to go on training with.

    Args:
        state_dict: of ``optimizer.state_dict()``, or as ``torch.distributed.checkpoint`` and FSDP
            have it: keyed by names, flat or nested.  A list of them, of optimizers that share the
            model (``torch.optim.Muon`` and the AdamW beside it), is one optimizer with the groups
            of all, and the parameters of all in that order.
        params: the present parameters, a tree of arrays.
        optimizer: torch's class, where the options do not tell (AdamW of torch < 2.6).
        names: the path of the leaf ("dense/kernel") of each torch parameter, in torch's order.  By
            default the leaves of torch's own names, where it has them and all find one
            ("dense.weight" is ``dense/kernel``, "layers.0.bias" is ``layers_0/bias``); else the
            order of ``jax.tree.leaves(params)``, where another one would not fit or all are alike.
            Leaves not named are frozen; a warning tells of those that torch's names leave out.
        transpose: True transposes all matrices (torch's Linear weights are those of Flax,
            transposed); or path -> axes, such as ``{"conv/kernel": (2, 3, 1, 0)}``.  A warning
            tells of kernels that fit both ways, where no other shape tells how they lie.
        learning_rate: η of all groups, in the place of the state dict's, or a list of one a group;
            a schedule is called with the number of updates done, those in torch included.
        momentum: μ (β1 of Adam) of all groups, a number in the place of the state dict's, where a
            scheduler turned it.
        step: updates done, for the schedule; by default the most that a parameter has done, which
            SGD's state does not say; must be given where others' lacks it.
        frozen: paths of leaves that do not train, or patterns of them ("backbone/*", as ``fnmatch``
            has it); all others do, and where torch has no memory of one it begins anew.  Must be
            given where torch has memories of some parameters, and none of others, or where those of
            one group did different numbers of steps; each then goes on from its own.

    Returns:
        tx: one chain, or ``optax.partition`` of one chain a param group.
        state: of ``tx``, in the dtypes that its ``init`` gives.

    Raises:
        TypeError: an argument of another kind than said above.
        ValueError: an unknown class or option, an option that torch itself refuses (a rate below
            0), another number of parameters or another shape (leaf in the message), memories of one
            shape whose leaves nothing tells, parameters of one group with different numbers of
            steps, or without memory while others have some, memories that are not finite or not
            of that class, or a number that a scheduler has set and that no argument replaces.

    >>> group = {"lr": 0.5, "momentum": 0.5, "dampening": 0, "weight_decay": 0, "nesterov": False}
    >>> groups = [group | {"params": [0]}]
    >>> memory = {"state": {0: {"momentum_buffer": [4.0]}}, "param_groups": groups}
    >>> import jax.numpy as jnp
    >>> w = jnp.array([1.0])
    >>> tx, state = from_torch(memory, {"w": w})
    >>> print(tx.update({"w": w}, state)[0])  # 0.5 · (0.5 · 4 + 1)
    {'w': Array([-1.5], dtype=float32)}
    """
    whole = one_of(state_dict)
    groups = whole["param_groups"]
    if isinstance(transpose, Mapping):
        transpose = dict(zip(spelled(list(transpose), params), transpose.values(), strict=True))
    refuse_odd_options(params, optimizer, names, transpose, momentum, frozen)
    refuse_odd_rates(learning_rate, len(groups))
    refuse_odd_step(step)
    if not groups:
        raise ValueError("the state dict has no param group, so it says nothing of any parameter")
    theirs = parameters_of(whole)
    order = leaf_of_each(names, list(theirs.values()), params, transpose, "torch")
    warn_of_square_kernels(list(theirs.values()), order, transpose)
    leaves = dict(zip(theirs, order, strict=True))
    begun = {i: entry for i, entry in memories_of(whole).items() if _has_begun(entry)}
    memory = {leaves[i]: entry for i, entry in begun.items()}
    before = {leaves[i]: entry for i, entry in memories_of(whole).items() if i not in begun}
    many = isinstance(learning_rate, list | tuple)
    done = max((_steps(entry) for entry in memory.values()), default=0)
    updates = done or None if step is None else step
    still = None if frozen is None else matched(spelled(frozen, params), paths(params), "frozen")
    if names is None:
        warn_of_left_out({*order, *(still or ())}, params, "torch")
    transforms: dict[str, Any] = {}
    labels: dict[str, str] = {}
    fields: dict[str, dict[str, Any]] = {}
    for number, group in enumerate(groups):
        kind = optimizer or class_of(group, memory.values())
        refuse_unknown(kind)
        rate: Any = learning_rate[number] if many else learning_rate  # type: ignore[index]
        parts = _parts(f"group {number}", [leaves[i] for i in group["params"]], memory, still)
        fresh = f"group {number}, fresh"
        _refuse_strange(kind, memory, [leaves[i] for i in group["params"]])
        if still is None and memory and fresh in parts and remembers(kind, group):
            raise ValueError(_frozen_or_new(number, parts[fresh], whole=len(parts) == 1))
        for label, own in parts.items():
            found = {path: memory[path] for path in own if path in memory}
            if kind == "Adagrad" and not found:  # of step 0, filled by the constructor's own number
                made = {path: before.get(path, {}) for path in own}
                found = made if all(x.get("sum") is not None for x in made.values()) else {}
            if step is None and kind != "Muon" and kind != "SGD":
                _refuse_without_step(kind, found)
            count = _count(found, updates)
            at = updates
            if callable(rate) and updates is None:
                raise ValueError(
                    "the state does not say how many updates are done: a schedule needs step="
                )
            falls = kind == "Adagrad" and "lr_decay" in group and option(group, "lr_decay")
            if falls or kind == "Adafactor":
                # its one counter is that of the parameter, whose rate falls by itself
                rate, at = _later(rate, (updates or 0) - count), count
            transforms[label] = transform_of(kind, group, rate, momentum, transpose)
            labels |= dict.fromkeys(own, label)
            fields[label] = {
                **_memories(kind, group, found, params, transpose),
                "count": count,
                "ScaleByScheduleState.count": at or 0,
            }
    labels = {path: labels.get(path, "frozen") for path in paths(params)}
    if "frozen" in labels.values():
        transforms["frozen"] = optax.set_to_zero()
    tx = grouped(transforms, labels, params)
    state = tx.init(params)
    if len(transforms) == 1:
        return tx, filled(state, next(iter(fields.values()), {}))
    inner = {k: filled(s, fields.get(k, {})) for k, s in state.inner_states.items()}
    return tx, state._replace(inner_states=inner)


def _has_begun(entry: Mapping[str, Any]) -> bool:
    # Adagrad makes its memories beforehand, SGD without momentum leaves a buffer of None
    kept = [name for name, x in entry.items() if x is not None]
    return bool(kept) and ("step" not in kept or _steps(entry) > 0)


def _steps(entry: Mapping[str, Any]) -> int:
    return step_count(entry["step"], "torch's step") if "step" in entry else 0


def _parts(
    label: str, own: Sequence[str], memory: Memory, still: set[str] | None
) -> dict[str, list[str]]:
    """The leaves of a group that go on, and those that begin; without the frozen ones.

    Those that did fewer steps, frozen for a while, are parts of their own.
    """
    moving = [path for path in own if still is None or path not in still]
    fresh = [path for path in moving if path not in memory]
    steps = {path: _steps(memory[path]) for path in moving if path in memory}
    if still is None and len(set(steps.values())) > 1:
        raise ValueError(_frozen_later_or_before(steps))
    most, parts = max(steps.values(), default=0), {}
    for n in sorted(set(steps.values()), reverse=True):
        name = label if n == most else f"{label}, {n} steps"
        parts[name] = [path for path in steps if steps[path] == n]
    return parts | ({f"{label}, fresh": fresh} if fresh else {})


def _frozen_later_or_before(steps: Mapping[str, int]) -> str:
    least = min(steps, key=steps.__getitem__)
    shown = dict(itertools.islice(steps.items(), 8))
    return (
        f"parameters of one group did different numbers of steps: {shown}: were those with fewer "
        f"frozen (requires_grad=False) for a while, or are they since?  Say frozen={[least]} (all "
        "leaves that do not train, or patterns), or frozen=[] if all train"
    )


def _refuse_strange(kind: str, memory: Memory, own: Sequence[str]) -> None:
    """A memory that torch's class does not keep is another optimizer's, of the same options."""
    for path in own:
        kept = {name for name, x in memory.get(path, {}).items() if x is not None}
        if strange := sorted(kept - memories_kept(kind)):
            raise ValueError(
                f"torch's memory of {path} has {strange[0]!r}, which torch's {kind} does not keep: "
                "another optimizer's, which cannot be brought over; begin anew from the parameters"
            )


def _frozen_or_new(number: int, own: Sequence[str], whole: bool) -> str:
    listed = ", ".join(own[:4]) + (f" and {len(own) - 4} more" if len(own) > 4 else "")
    what = f"param group {number} ({listed})" if whole else f"{listed} (param group {number})"
    return (
        f"torch has no memory of {what} while it has of others: frozen (requires_grad=False), or "
        f"new, as torch begins one at its first gradient?  Say frozen={list(own[:1])} (all leaves "
        "that do not train, or patterns), or frozen=[] if all train"
    )


def _count(found: Memory, updates: int | None) -> int:
    """The steps that a part has done, as its memories, which are alike in it, count them."""
    steps = [_steps(entry) for entry in found.values() if "step" in entry]
    if steps:
        return steps[0]
    return max(updates or 1, 1) if found else 0  # SGD: dampening asks for the first step only


def _refuse_without_step(kind: str, found: Memory) -> None:
    """Where torch counts, a state without its count would begin again at 1."""
    for path, entry in found.items():
        if entry.get("step") is None:
            raise ValueError(
                f"torch's memory of {path} has no 'step', which {kind} keeps; it has "
                f"{sorted(entry)}: give the whole state dict, or say with step= how many are done"
            )


def _later(rate: Any, offset: int) -> Any:
    if not callable(rate) or not offset:
        return rate
    schedule: Callable[[Any], Any] = rate
    return lambda step: schedule(step + offset)


def _memories(
    kind: str, group: Mapping[str, Any], found: Memory, params: Tree, transpose: Axes
) -> dict[str, Any]:
    """Field -> scalar or tree."""
    fields: dict[str, Any] = {}
    if kind == "Adafactor" and found:
        for path, entry in found.items():
            kept = {n for n in ("row_var", "col_var", "variance") if entry.get(n) is not None}
            if kept not in ({"row_var", "col_var"}, {"variance"}):
                raise ValueError(
                    f"torch's memory of {path} has {sorted(kept)}, and Adafactor keeps row_var "
                    "and col_var, or variance alone: give the whole state dict"
                )
        both = {path: squeezed(x, path) for path, x in found.items() if x.get("variance") is None}
        rows, cols = ({path: x[i] for path, x in both.items()} for i in (0, 1))
        whole = {path: entry["variance"] for path, entry in found.items() if path not in both}
        return factored(rows, cols, whole, params, transpose, "torch")
    for theirs, field in CLASSES[kind][2].items():
        arrays = {path: x for path, entry in found.items() if (x := entry.get(theirs)) is not None}
        without = [path for path in found if path not in arrays]
        if without and (arrays or keeps(group, theirs)):  # a 0 in its place would be a large step
            raise ValueError(
                f"torch's memory of {without[0]} has no {theirs!r}, which {kind} keeps; it has "
                f"{sorted(found[without[0]])}: give the whole state dict"
            )
        if arrays and field == "mu_product":
            fields[field] = finite(next(iter(arrays.values())), f"torch's {theirs}")
        elif arrays:
            fields[field] = gathered(arrays, params, transpose, theirs, "torch")
    return fields
