"""What a model is worth on examples that it has not seen; and the same of a linear model, to compare."""

import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from jaxtyping import Float, Int

from autodiff_ref.train.prepare import moments_of
from autodiff_ref.trees import Entry, JsonObject

BINS = 10
"""Of the calibration curve: equally wide shares of predicted probability."""

MOST_CLASSES, MOST_MISTAKEN = 10, 5
"""So many classes are shown as a table; of more, so many pairs of a class and what it is mistaken for."""


def evaluated(p: Float[np.ndarray, "n k"], codes: Int[np.ndarray, " n"], classes: Sequence[str]) -> JsonObject:
    """How well probabilities tell the classes of examples.

    Args:
        p: (n, k), the probability of every class.
        codes: (n,), the class of each example, 0, …, k − 1.
        classes: their names.

    Returns:
        JSON: accuracy, the share of the most frequent class, balanced accuracy (the mean over classes of the share of each
        that is found; None where there is one class alone), log loss in nats an example, AUC for two classes, the confusion
        matrix (a row a true class), and for two classes the calibration curve: of the examples in each of ten bins of p,
        their number, mean p and share.
    """
    n, k = p.shape
    predicted = (p[:, 1] >= 0.5).astype(int) if k == 2 else np.argmax(p, axis=1)
    confusion = np.zeros((k, k), int)
    np.add.at(confusion, (codes, predicted), 1)
    there = confusion.sum(axis=1)
    balanced = np.mean(np.diag(confusion)[there > 0] / there[there > 0])
    found: JsonObject = {
        "examples": n,
        "accuracy": float(np.mean(predicted == codes)),
        "majority": float(there.max() / n),
        "balanced_accuracy": float(balanced) if np.count_nonzero(there) > 1 else None,
        "log_loss": float(-np.mean(np.log(np.maximum(p[np.arange(n), codes], np.finfo(np.float64).tiny)))),
        "confusion": confusion.tolist(),
        "classes": [str(name) for name in classes],
    }
    if k == 2:
        found["auc"] = auc(p[:, 1], codes == 1)
        found["calibration"] = calibration(p[:, 1], codes == 1)
    return found


def root_mean_square(x: Float[np.ndarray, " n"]) -> float:
    """√(Σ x²/n), in units of the largest, since squares of 1e200 overflow

    Example:
        >>> root_mean_square(np.array([3.0, -4.0, 0.0, 0.0])), root_mean_square(np.zeros(2))
        (2.5, 0.0)
    """
    largest = float(np.max(np.abs(x)))
    return largest * float(np.sqrt(np.mean((x / largest) ** 2))) if largest else 0.0


def evaluated_numbers(predicted: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> JsonObject:
    """How well numbers are predicted.

    Args:
        predicted: (n,)
        y: (n,), the true ones.

    Returns:
        JSON: the root of the mean squared error, the mean absolute error, the deviation of y, which is the error of always
        predicting the mean, and R², the share of the variance that is explained; None where y has one value alone.
    """
    off = predicted - y
    largest = np.max(np.abs(y)) or 1.0
    rmse, deviation = root_mean_square(off), root_mean_square(y - np.mean(y / largest) * largest)
    return {
        "examples": len(y),
        "rmse": rmse,
        "mae": float(np.mean(np.abs(off))),
        "deviation": deviation,
        "r2": 1 - (rmse / deviation) ** 2 if deviation else None,
    }


def auc(score: Float[np.ndarray, " n"], positive: np.ndarray) -> float | None:
    """P(score of a positive > score of a negative) + ½ P(equal), by ranks; None where one of them is missing.

    Example:
        >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
        0.875
    """
    pos = int(positive.sum())
    neg = len(positive) - pos
    if not pos or not neg:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - pos * (pos + 1) / 2) / (pos * neg))


def calibration(p: Float[np.ndarray, " n"], positive: np.ndarray) -> list[dict[str, float]]:
    """For each of ten bins of p that holds any: how many, their mean p, and the share that is positive."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        {"examples": int(here.sum()), "predicted": float(p[here].mean()), "observed": float(positive[here].mean())}
        for here in (bins == b for b in range(BINS))
        if here.any()
    ]


def convergence(lls: Sequence[float]) -> str | None:
    """Says where ll still rose or fell by more than a hundredth of itself over the last tenth of the epochs."""
    last = max(1, len(lls) // 10)
    if len(lls) < 2 or not lls[-1]:
        return None
    risen = (lls[-1] - lls[-1 - last]) / abs(lls[-1])
    over = "over the last epoch" if last == 1 else f"over the last {last} epochs"
    if risen < -0.01:
        return f"not converged: ll fell by {-risen:.1%} {over}; a smaller learning rate may help"
    if risen <= 0.01:
        return f"ll changed by {abs(risen):.1%} {over}"
    return f"not converged: ll rose by {risen:.1%} {over}; more epochs may help"


def linear_regression(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, c: np.ndarray | None = None
) -> Float[np.ndarray, " n"]:
    """The predictions of scikit-learn's LinearRegression on standardised columns.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    linear, of_y = _linear_models(), moments_of(y[:, None], None).scaling(True)
    standardised, tested = _standardised(x, test_x)
    model = linear.LinearRegression().fit(standardised, (y - of_y.mean[0]) / of_y.scale[0], sample_weight=c)
    return np.asarray(model.predict(tested)) * of_y.scale[0] + of_y.mean[0]


def logistic_regression(
    x: np.ndarray, codes: np.ndarray, test_x: np.ndarray, c: np.ndarray | None = None
) -> Float[np.ndarray, "n k"]:
    """The probabilities of scikit-learn's LogisticRegression on standardised columns.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    linear = _linear_models()
    standardised, tested = _standardised(x, test_x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, which its numbers show
        model = linear.LogisticRegression(max_iter=1000).fit(standardised, codes, sample_weight=c)
    return np.asarray(model.predict_proba(tested))


def _linear_models() -> ModuleType:
    try:
        return importlib.import_module("sklearn.linear_model")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("--compare needs scikit-learn: pip install 'manual-grad[sklearn]'") from missing


def _standardised(x: np.ndarray, test_x: np.ndarray) -> list[np.ndarray]:
    """Both by the mean and deviation of x: of numbers as 1e300 scikit-learn's own squares overflow."""
    scaling = moments_of(x, None).scaling(True)
    return [(each - scaling.mean) / scaling.scale for each in (x, test_x)]


def told(test: Entry) -> list[str]:
    """The lines for people."""
    if "rmse" in test:
        explained = "" if test["r2"] is None else f"; R² {test['r2']:.4f}"
        return [
            f"root mean squared error {test['rmse']:.6g} over {test['examples']:,} examples kept apart (always the mean: "
            f"{test['deviation']:.6g}), mean absolute error {test['mae']:.6g}{explained}"
        ]
    balanced, there = test["balanced_accuracy"], np.flatnonzero(np.sum(test["confusion"], axis=1))
    beside = (
        f"all of class {test['classes'][there[0]]}, so that nothing is told of any other"
        if balanced is None
        else f"always the most frequent class: {test['majority']:.4f}"
    )
    lines = [
        f"accuracy {test['accuracy']:.4f} of {test['examples']:,} examples kept apart ({beside})"
        + ("" if balanced is None else f", balanced {balanced:.4f}")
        + f"; log loss {test['log_loss']:.4f}"
        + ("" if test.get("auc") is None else f"; AUC {test['auc']:.4f}")
    ]
    return lines + (_confusion(test) if len(test["classes"]) <= MOST_CLASSES else _mistaken(test))


def _confusion(test: Entry) -> list[str]:
    """A row for each true class, a column for each predicted one."""
    names, confusion = test["classes"], np.array(test["confusion"])
    width = max(map(len, names))
    columns = [max(len(name), len(str(most))) for name, most in zip(names, confusion.max(axis=0), strict=True)]

    def row(title: str, cells: Sequence[object]) -> str:
        return f"{title:<{width + 5}}" + "".join(f"  {cell:>{size}}" for cell, size in zip(cells, columns, strict=True))

    return [
        row("predicted", names),
        *(row(f"true {name}", cells) for name, cells in zip(names, test["confusion"], strict=True)),
    ]


def _mistaken(test: Entry) -> list[str]:
    """The pairs of classes of a true class and what it is mistaken for most often."""
    names, confusion = test["classes"], np.array(test["confusion"])
    np.fill_diagonal(confusion, 0)
    worst = np.argsort(-confusion, axis=None, kind="stable")[:MOST_MISTAKEN]
    pairs = [(*np.unravel_index(place, confusion.shape), confusion.flat[place]) for place in worst]
    mistaken = [f"{names[i]} as {names[j]} ({n})" for i, j, n in pairs if n]
    return [f"mistaken most often: {', '.join(mistaken)}"] if mistaken else []


def better(ours: Entry, theirs: Entry) -> str:
    """Which of two is better on the same examples, by log loss, or by squared error."""
    if "rmse" in ours:
        who = "the net" if ours["rmse"] < theirs["rmse"] else "linear regression"
        return (
            f"linear regression (scikit-learn): root mean squared error {theirs['rmse']:.6g}; by it {who} is better on "
            "these examples"
        )
    who = "the net" if ours["log_loss"] < theirs["log_loss"] else "logistic regression"
    return (
        f"logistic regression (scikit-learn): accuracy {theirs['accuracy']:.4f}, log loss {theirs['log_loss']:.4f}; "
        f"by log loss {who} is better on these examples"
    )
