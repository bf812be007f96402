"""Runs that are nested in others, kept together under any order."""

import numpy as np
import numpy.typing as npt

from core.runs.spine import MISSING, Rows

_DEEPEST = 100
"""Anybody may write the tag that names a parent; chains longer than this are cut."""


def together(rows: Rows, parents: Rows) -> tuple[Rows, npt.NDArray[np.int16]]:
    """The same rows with families together, and how deep each one is nested.

    A family stands where the first of its members stood, and so does each run among its
    siblings; parents come before their children. Children of one run that is not among ``rows``
    are a family too, without its head. A chain of parents that leads back into itself is cut.

    Args:
        rows: places of runs, in the order wanted.
        parents: for all places, that of the parent; beyond the end for parents that are not
            held, ``MISSING`` for none.
    """
    if not len(rows) or not (parents[rows] != MISSING).any():
        return rows, np.zeros(len(rows), np.int16)
    everyone = max(len(parents), int(parents.max()) + 1)
    parent = np.full(everyone, MISSING, np.int64)
    parent[: len(parents)] = parents
    levels = _levels(rows, parent)
    first = np.full(everyone, len(rows), np.int64)
    first[rows] = np.arange(len(rows))
    size = np.zeros(everyone, np.int64)
    size[rows] = 1
    for level in levels[:0:-1]:  # from the innermost outwards
        above = parent[level]
        np.minimum.at(first, above, first[level])
        np.add.at(size, above, size[level])
    shown = np.zeros(everyone, bool)
    shown[rows] = True
    depth = np.zeros(everyone, np.int16)
    start = np.zeros(everyone, np.int64)
    for deep, level in enumerate(levels):
        depth[level] = deep
        above = parent[level] if deep else np.zeros(len(level), np.int64)
        order = np.lexsort((first[level], above))
        level, above = level[order], above[order]
        before = np.cumsum(size[level]) - size[level]
        # Of each family, what stands before the first sibling belongs to other families.
        new = np.r_[True, above[1:] != above[:-1]]
        before -= np.repeat(before[new], np.diff(np.r_[np.flatnonzero(new), len(level)]))
        start[level] = before + (start[above] + shown[above] if deep else 0)
    made = np.empty(len(rows), np.int32)
    made[start[rows]] = rows
    return made, depth[made]


def _levels(rows: Rows, parent: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """These runs and all that they are nested in, by depth; links that close a ring are cut."""
    inside = np.zeros(len(parent), bool)
    reach = np.unique(rows).astype(np.int64)
    while len(reach):
        inside[reach] = True
        above = np.unique(parent[reach])
        above = above[above != MISSING]
        reach = above[~inside[above]]
    nodes = np.flatnonzero(inside)
    depth = np.full(len(parent), MISSING, np.int64)
    depth[nodes[parent[nodes] == MISSING]] = 0
    waiting = nodes[depth[nodes] == MISSING]
    while len(waiting):
        known = depth[parent[waiting]]
        ready = (known != MISSING) & (known < _DEEPEST)
        if ready.any():
            depth[waiting[ready]] = known[ready] + 1
            waiting = waiting[~ready]
        else:
            # What is too deep becomes a head. So do, in what is left of rings, all that stand
            # before their parents: at least one in each ring.
            deep = known != MISSING
            heads = waiting[deep] if deep.any() else waiting[waiting <= parent[waiting]]
            parent[heads] = MISSING
            depth[heads] = 0
            waiting = waiting[depth[waiting] == MISSING]
    deepest = int(depth[nodes].max())
    return [nodes[depth[nodes] == deep] for deep in range(deepest + 1)]
