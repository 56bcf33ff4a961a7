"""The rows, one a kind of domain. A new kind is a class in `manual_grad.domains` and a row here."""

from typing import Any

from autodiff_ref.judge.domains.labels import BitRow, ClassRow, ConstantRow, IntegerRow, OneHotRow, PermutationRow, SignRow
from autodiff_ref.judge.domains.matrices import LowerTriangularRow, OrthogonalRow, PositiveDefiniteRow, SymmetricRow
from autodiff_ref.judge.domains.numbers import IntervalRow, NonnegativeRow, PositiveRow, RealRow, SortedRow
from autodiff_ref.judge.domains.row import Row
from autodiff_ref.judge.domains.vectors import SimplexRow, UnitRow
from manual_grad.domains import (
    Bits,
    Classes,
    Constants,
    Domain,
    Integers,
    Intervals,
    LowerTriangular,
    Nonnegatives,
    OneHot,
    Orthogonal,
    Permutations,
    PositiveDefinite,
    Positives,
    Reals,
    Signs,
    Simplex,
    SortedReals,
    Symmetric,
    UnitVectors,
)

ROWS: dict[type[Domain], Row[Any]] = {
    Reals: RealRow(),
    Positives: PositiveRow(),
    Nonnegatives: NonnegativeRow(),
    Intervals: IntervalRow(),
    SortedReals: SortedRow(),
    Signs: SignRow(),
    Bits: BitRow(),
    Integers: IntegerRow(),
    Classes: ClassRow(),
    OneHot: OneHotRow(),
    Permutations: PermutationRow(),
    Constants: ConstantRow(),
    Symmetric: SymmetricRow(),
    PositiveDefinite: PositiveDefiniteRow(),
    LowerTriangular: LowerTriangularRow(),
    Orthogonal: OrthogonalRow(),
    Simplex: SimplexRow(),
    UnitVectors: UnitRow(),
}


def row_of(leaf: Domain) -> Row[Any]:
    """The row of a domain.

    Raises:
        TypeError: its kind has none.
    """
    row = ROWS.get(type(leaf))
    if row is None:
        raise TypeError(f"the judge has no row for {type(leaf).__name__}: add one to autodiff_ref.judge.domains.kinds")
    return row
