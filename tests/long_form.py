"""Which cases of a test stand in the default run; the others are ``long`` (``.ci/run long``).

So is a whole test that takes more than a second where something quicker tests the same kind.
"""

import pytest

# transformations and recipes of which each stands for those that are built like it
FAMILIES = {"trace", "scale_by_rms", "scale_by_adam", "scale_by_nadam", "scale_by_ademamix"}
FAMILIES |= {"scale_by_factored_rms", "scale_by_trust_ratio", "clip_by_global_norm", "prodigy"}
FAMILIES |= {"rmsprop", "adamw", "soap"}


DEAR = {"scale_by_nadam", "scale_by_ademamix", "prodigy", "soap"}  # whose programs take longest


def put(case, keep):
    """The case as ``parametrize`` takes it, ``long`` unless it is kept."""
    if isinstance(case, type(pytest.param())):
        values, marks, id = case.values, [*case.marks], case.id
    else:
        values, marks, id = case if type(case) is tuple else (case,), [], None
    return pytest.param(*values, marks=marks if keep else [*marks, pytest.mark.long], id=id)


def only(kept, cases):
    """Those of ``kept`` by default, each of which must be there."""
    cases, kept = list(cases), list(kept)
    assert all(case in cases for case in kept), kept
    return [put(case, case in kept) for case in cases]


def of_families(names, dear=True):
    """Those of :data:`FAMILIES` by default, with or without those that are :data:`DEAR`."""
    kept = FAMILIES if dear else FAMILIES - DEAR
    return [put(name, name in kept) for name in names]


def every(step, cases):
    """The first of each ``step`` by default."""
    return [put(case, i % step == 0) for i, case in enumerate(cases)]


def once(cases, *parts):
    """By default a case of which some part is new: so each part of each case is tried.

    ``parts`` are functions of a case; without them each of its values is one.
    """
    seen, found = set(), []
    for case in cases:
        own = {(i, part(case)) for i, part in enumerate(parts)} if parts else {*enumerate(case)}
        found.append(put(case, not own <= seen))
        seen |= own
    return found


def covering(parts):
    """Names that have all parts between them, each time one that adds the most.

    Args:
        parts: name to a set.
    """
    missing, found = set().union(*parts.values()), []
    while missing:
        found.append(max(parts, key=lambda name: len(parts[name] & missing)))
        missing -= parts[found[-1]]
    return found
