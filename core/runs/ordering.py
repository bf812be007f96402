"""In what order runs come: by any column, over all of them.

As MLflow has it, numbers come first, then NaN, then what is missing, whichever way the numbers
run. Params and tags are text; where most of a column's values are numbers, these come first, as
numbers, and the rest follows as text. Text is compared by its UTF-8 bytes, as SQLite does. Runs
that are alike stay as they stood: newest first, then by id.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.runs.values import Floats, Numbers, Texts

Key = Floats
"""What sorts ascending into the order wanted; NaN comes last."""


def by_numbers(numbers: Numbers, *, descending: bool) -> list[Key]:
    """Keys for a column of numbers, the first one weighing most."""
    key = -numbers.values if descending else numbers.values.copy()
    # Infinite is free for NaN: MLflow stores none.
    key[np.isnan(key)] = np.inf
    key[numbers.missing] = np.nan
    return [key]


def by_texts(texts: Texts, *, descending: bool) -> list[Key]:
    """Keys for a column of text: as numbers where most of it are numbers."""
    there = texts.values.is_valid().to_numpy(zero_copy_only=False)
    numeric = ~np.isnan(texts.numbers)
    mostly = 2 * int(numeric.sum()) > int(there.sum())
    key = -texts.numbers if descending else texts.numbers
    words = there & ~numeric
    if mostly and not words.any():
        return [key]
    ranks = text_ranks(texts.values)
    if descending:
        ranks = -ranks
    if not mostly:
        return [ranks]
    # After all numbers, and before what is missing, come the words.
    return [np.where(words, np.inf, key), np.where(words, ranks, 0.0)]


def text_ranks(values: pa.Array | pa.ChunkedArray) -> Floats:
    """Each value's place among all different ones; NaN where there is none."""
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where(codes < 0, np.nan, np.append(rank, np.nan)[codes])


def arrange(keys: list[Key], size: int) -> npt.NDArray[np.int64]:
    """The places in the order that the keys give, the first key weighing most; stable."""
    if not keys:
        return np.arange(size)
    if len(keys) == 1:
        return np.argsort(keys[0], kind="stable")
    return np.lexsort(keys[::-1])
