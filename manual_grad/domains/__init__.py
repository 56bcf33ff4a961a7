"""The domains of a derivation's arguments: the sets that these are drawn from, and their shapes.

`reals("n", "d")` and the other functions make them. A kind of domain is a class that says all that the judge has to know of
it. The class, the function that makes it, and what they need stand in one file. A kind of your own is a subclass of
`Domain`. This package holds no formula.
"""

from manual_grad.domains import labels, matrices, numbers, orders, rotations, vectors
from manual_grad.domains.domain import Dim, Domain
from manual_grad.domains.labels import *  # noqa: F403
from manual_grad.domains.matrices import *  # noqa: F403
from manual_grad.domains.numbers import *  # noqa: F403
from manual_grad.domains.orders import *  # noqa: F403
from manual_grad.domains.rotations import *  # noqa: F403
from manual_grad.domains.vectors import *  # noqa: F403

__all__ = ["Dim", "Domain"]
__all__ += labels.__all__
__all__ += matrices.__all__
__all__ += numbers.__all__
__all__ += orders.__all__
__all__ += rotations.__all__
__all__ += vectors.__all__
