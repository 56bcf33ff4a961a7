"""The hand-written Functions of packages as they are installed, each called as its package calls it.

What is said of each here was found apart from the judge: by its closed form, or by difference quotients of its forward.
`python benchmarks/torch_functions.py --installed` judges them.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Literal

import torch

Truth = Literal["right", "wrong", "natural gradient"]
"""what its backward is; a natural gradient is that by other parameters than the forward's, and is meant so"""

F = Callable[..., Any]


@dataclass(frozen=True)
class Installed:
    """One Function of a package, at one input.

    Args:
        package: as it is imported.
        module: where the Function is.
        name: of the Function; what is called, with its `apply` first and the inputs after it, is `call`.
        inputs: numbers, or arrays of them; those of floats are differentiated by, but for `fixed`.
        of: given the module, the function whose gradient is meant.
    """

    package: str
    module: str
    name: str
    inputs: tuple[Any, ...]
    call: F = field(default=lambda f, *args: f(*args))
    truth: Truth = "right"
    of: Callable[[Any], F] | None = None
    within: float | None = None
    fixed: tuple[int, ...] = ()
    note: str = ""

    @property
    def label(self) -> str:
        """What the row is called."""
        return f"{self.package} {self.name}" + (f", {self.note}" if self.note else "")


X = ((0.3, -0.75, 1.5), (2.0, 0.125, -1.0))
"""without two equal entries, and off the kinks of all that it is handed to"""

NEAR = ((0.31, 0.17, 0.49), (0.41, 0.63, 0.53))
"""so near to each other that no entry of the projections is 0"""

LABELS = (2, 0)

MATRIX = ((4.0, 1.0, -0.5), (1.0, 3.0, 0.25), (-0.5, 0.25, 5.0))
"""symmetric and positive definite, its diagonal without two equal entries"""

LOWER = ((2.0, 0.0, 0.0), (0.5, 1.5, 0.0), (-0.25, 0.75, 1.25))

RHS = ((0.5, -1.0), (0.25, 2.0), (1.5, 0.75))

SITES = ((0.1, -0.4), (0.9, 0.3), (-0.6, 1.2))

DESIGN = tuple(tuple(((3 * i + 5 * j * j + i * j) % 11 - 5) / 4 for j in range(9)) for i in range(6))


def square_distance(a: Any, b: Any) -> Any:
    """|a_i − b_j|²"""
    return ((a[..., :, None, :] - b[..., None, :, :]) ** 2).sum(-1)


def distance(a: Any, b: Any) -> Any:
    """|a_i − b_j|, of sites that differ."""
    return square_distance(a, b).sqrt()


def symmetric(a: Any) -> Any:
    """(A + Aᵀ)/2, for functions that are handed symmetric matrices only."""
    return (a + a.mT) / 2


def _operator(a: Any) -> Any:
    return import_module("linear_operator").to_linear_operator(symmetric(a))


def _by_operator(name: str) -> F:
    """A Function of linear_operator as its operator calls it, with a dense matrix."""

    def call(f: F, a: Any, *more: Any) -> Any:
        operator = _operator(a)
        leading = {"Solve": (False,), "PivotedCholesky": (2, None)}.get(name, ())
        return f(operator.representation_tree(), *leading, *more, *operator.representation())

    return call


def _matern(nu: float) -> F:
    return lambda f, scale, a, b: f(a, b, scale, nu, distance)


ENTMAX = [
    Installed("entmax", "entmax.activations", "SparsemaxFunction", (NEAR,), lambda f, x: f(x, -1)),
    Installed("entmax", "entmax.activations", "Entmax15Function", (NEAR,), lambda f, x: f(x, -1)),
    Installed(
        "entmax",
        "entmax.root_finding",
        "SparsemaxBisectFunction",
        (NEAR,),
        of=lambda package: lambda x: package.sparsemax(x, -1),
        within=1e-9,
    ),
    Installed(
        "entmax",
        "entmax.root_finding",
        "EntmaxBisectFunction",
        (NEAR,),
        lambda f, x: f(x, 1.5),
        of=lambda package: lambda x: package.entmax15(x, -1),
        within=1e-9,
    ),
    Installed("entmax", "entmax.root_finding", "EntmaxBisectFunction", (NEAR, 1.5), note="by α, no of="),
    Installed("entmax", "entmax.root_finding", "NormmaxBisectFunction", (NEAR,), lambda f, x: f(x, 2.0), note="no of="),
    Installed("entmax", "entmax.root_finding", "BudgetBisectFunction", (NEAR,), lambda f, x: f(x, 1.5), note="no of="),
    Installed("entmax", "entmax.losses", "SparsemaxLossFunction", (NEAR, LABELS)),
    Installed("entmax", "entmax.losses", "Entmax15LossFunction", (NEAR, LABELS)),
    Installed(
        "entmax",
        "entmax.losses",
        "SparsemaxBisectLossFunction",
        (NEAR, LABELS),
        of=lambda package: lambda x, labels: package.sparsemax_loss(x, labels),
        within=1e-9,
    ),
    Installed(
        "entmax",
        "entmax.losses",
        "EntmaxBisectLossFunction",
        (NEAR, LABELS),
        of=lambda package: lambda x, labels: package.entmax15_loss(x, labels),
        within=1e-9,
    ),
    Installed("entmax", "entmax.losses", "NormmaxBisectLossFunction", (NEAR, LABELS), note="no of="),
]

TIMM = [
    Installed("timm", "timm/layers/activations_me.py", name, (X,))
    for name in ("SwishAutoFn", "MishAutoFn", "HardSigmoidAutoFn", "HardSwishAutoFn", "HardMishAutoFn")
]

KORNIA = [
    Installed(
        "kornia", "kornia.losses.focal", "_TargetLogSoftmax", (X, ((2,), (0,))), lambda f, x, target: f(x, target, None)
    ),
    Installed(
        "kornia",
        "kornia.losses.focal",
        "_TargetLogSoftmax",
        (X, ((2,), (0,)), ((True,), (False,))),
        note="with a mask",
    ),
    Installed(
        "kornia",
        "kornia.geometry.epipolar.essential",
        "_NullSpaceBasis",
        ((DESIGN,),),
        lambda f, x: f(x)[0] @ f(x)[0].mT,
        note="the projection",
    ),
]

GPYTORCH = [
    Installed(
        "gpytorch",
        "gpytorch.functions.rbf_covariance",
        "RBFCovariance",
        (((0.75,),), SITES, RHS),
        lambda f, scale, a, b: f(a, b, scale, square_distance),
        fixed=(1, 2),
    ),
    *[
        Installed(
            "gpytorch",
            "gpytorch.functions.matern_covariance",
            "MaternCovariance",
            (((0.75,),), SITES, RHS),
            _matern(nu),
            fixed=(1, 2),
            note=f"ν = {nu}",
        )
        for nu in (0.5, 1.5, 2.5)
    ],
    Installed("gpytorch", "gpytorch.functions._log_normal_cdf", "LogNormalCDF", ((0.5, 1.5, -0.75),), note="z > −1"),
    Installed(
        "gpytorch",
        "gpytorch.functions._log_normal_cdf",
        "LogNormalCDF",
        ((-1.5, -1.125),),
        truth="wrong",
        note="−2 < z < −1",
    ),
    Installed(
        "gpytorch",
        "gpytorch.functions._log_normal_cdf",
        "LogNormalCDF",
        ((-13.5, -12.25),),
        of=lambda _: torch.special.log_ndtr,
        within=1e-12,
        note="z < −12, of=log_ndtr",
    ),
    Installed(
        "gpytorch",
        "gpytorch.variational.large_batch_variational_strategy",
        "QuadFormDiagonal",
        (MATRIX, RHS),
        lambda f, a, b: f(symmetric(a), b),
    ),
    Installed(
        "gpytorch",
        "gpytorch.variational.variational_strategy",
        "ComputePredictiveUpdates",
        (LOWER, RHS, MATRIX, (0.5, -1.0, 0.25)),
        lambda f, chol, covar, middle, values: f(chol.tril(), covar, symmetric(middle), values),
    ),
    Installed(
        "gpytorch",
        "gpytorch.variational.natural_variational_distribution",
        "_NaturalToMuVarSqrt",
        ((0.5, -1.0, 0.25), MATRIX),
        lambda f, mean, covar: f(mean, -symmetric(covar)),
        truth="natural gradient",
    ),
    Installed(
        "gpytorch",
        "gpytorch.variational.tril_natural_variational_distribution",
        "_TrilNaturalToMuVarSqrt",
        ((0.5, -1.0, 0.25), LOWER),
        truth="natural gradient",
    ),
    Installed(
        "gpytorch",
        "gpytorch.variational.ciq_variational_strategy",
        "_NgdInterpTerms",
        (RHS, (0.5, -1.0, 0.25), MATRIX),
        lambda f, interp, vec, mat: f(interp, vec, -symmetric(mat))[:2],
        truth="natural gradient",
    ),
]

LINEAR_OPERATOR = [
    Installed("linear_operator", "linear_operator.functions._matmul", "Matmul", (MATRIX, RHS), _by_operator("Matmul")),
    Installed("linear_operator", "linear_operator.functions._solve", "Solve", (MATRIX, RHS), _by_operator("Solve")),
    Installed("linear_operator", "linear_operator.functions._inv_quad", "InvQuad", (MATRIX, RHS), _by_operator("InvQuad")),
    Installed(
        "linear_operator",
        "linear_operator.functions._pivoted_cholesky",
        "PivotedCholesky",
        (MATRIX,),
        lambda f, a: _by_operator("PivotedCholesky")(f, a)[0],
    ),
]

GEOMETRIC = [
    Installed(
        "torch_geometric",
        "torch_geometric.utils.cross_entropy",
        "SparseCrossEntropy",
        (X, ((0, 0, 1), (1, 2, 0))),
        lambda f, x, edges: f(x, edges, None),
        note="each edge once",
    ),
    Installed(
        "torch_geometric",
        "torch_geometric.utils.cross_entropy",
        "SparseCrossEntropy",
        (X, ((0, 0, 1), (1, 2, 0)), (0.5, 2.0, 0.75)),
        fixed=(2,),
        note="weighted",
    ),
    Installed(
        "torch_geometric",
        "torch_geometric.utils.cross_entropy",
        "SparseCrossEntropy",
        (((0.0, 0.0),), ((0, 0), (1, 1))),
        lambda f, x, edges: f(x, edges, None),
        truth="wrong",
        note="an edge twice",
    ),
    Installed(
        "torch_geometric",
        "torch_geometric.edge_index",
        "_TorchSPMM",
        (X, ((0, 0, 1), (0, 1, 1))),
        lambda f, x, edges: f(
            import_module("torch_geometric").EdgeIndex(edges, sparse_size=(2, 2), sort_order="row"),
            x,
            torch.ones(3, dtype=x.dtype),
        ),
    ),
]

FUNCTIONS = [*ENTMAX, *TIMM, *KORNIA, *GPYTORCH, *LINEAR_OPERATOR, *GEOMETRIC]


def loaded(row: Installed) -> Any:
    """The module of a Function: imported, or a file of the package by itself where the package needs others.

    timm.layers imports torchvision, which does not import beside every build of PyTorch; the file needs PyTorch alone.
    """
    if not row.module.endswith(".py"):
        return import_module(row.module)
    spec = find_spec(row.package)
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent.parent / row.module
    name = file.stem
    if name not in sys.modules:
        of_file = spec_from_file_location(name, file)
        assert of_file is not None
        assert of_file.loader is not None
        sys.modules[name] = module_from_spec(of_file)
        of_file.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def tensors(row: Installed, dtype: torch.dtype) -> tuple[Any, ...]:
    """Its inputs."""
    made: list[torch.Tensor] = []
    for k, numbers in enumerate(row.inputs):
        floats = torch.tensor(numbers).is_floating_point()
        made.append(
            torch.tensor(numbers, dtype=dtype, requires_grad=k not in row.fixed) if floats else torch.tensor(numbers)
        )
    return tuple(made)


def packages() -> list[str]:
    """Those that are installed, with their versions."""
    names = dict.fromkeys(row.package for row in FUNCTIONS)
    return [f"{name} {version(name)}" if find_spec(name) else f"{name}: not installed" for name in names]
