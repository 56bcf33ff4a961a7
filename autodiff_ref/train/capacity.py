"""How wide a table is made for n examples, so that few widths are ever compiled for.

A table has room for more examples than it holds. What is compiled depends on the room alone; how many examples count is an
argument. Up to 2^20 the room grows by factors of 4 in a computer's own memory, which costs address space alone, since pages
that no one writes to are never there; beyond, and in the memory of an accelerator, by an eighth at most.
"""

SMALLEST, LARGE = 1_024, 1 << 20
SKEW = 9 * 64
"""Bytes beyond a power of two, so that the rows of a table do not all fall into the same sets of a cache."""


def _steps(n: int, paged: bool) -> tuple[int, int]:
    """The least and the most examples of the room that n examples are given."""
    if n > (LARGE if paged else SMALLEST):
        eighth = 1 << ((n - 1).bit_length() - 4)
        most = -(-n // eighth) * eighth
        return most - eighth + 1, most
    least, most = 1, SMALLEST
    while n > most:
        least, most = most + 1, 4 * most
    return least, most


def capacity(n: int, itemsize: int, *, paged: bool = True) -> int:
    """The columns of a table for n examples, a whole number of cache lines.

    Args:
        n: the examples.
        itemsize: the bytes of a number.
        paged: whether memory that no one writes to costs nothing, as in a computer's own and not in an accelerator's.
    """
    return _steps(n, paged)[1] + SKEW // itemsize


def least(n: int) -> int:
    """The fewest examples that are given the same room as n: what is chosen by n and compiled is chosen by this."""
    return max(SMALLEST // 4, _steps(n, paged=True)[0])
