"""The net as scikit-learn's estimators: in pipelines, grid searches, calibration. Needs the extra `sklearn`."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from autodiff_ref.train.arguments import checked_weights, require_weights, starting_layers
from autodiff_ref.train.compiled import kept
from autodiff_ref.train.fit import Fit, fit
from autodiff_ref.train.loop import Recipe, State, epoch, start
from autodiff_ref.train.model import Model
from autodiff_ref.train.optimizers import Transformation
from autodiff_ref.train.prepare import codes_of, moments_of, table_of
from autodiff_ref.train.settings import Settings
from autodiff_ref.train.shuffle import Shuffler
from autodiff_ref.trees import Keywords

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,  # pyright: ignore[reportPrivateUsage] which scikit-learn offers to estimators of others
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ModuleNotFoundError as missing:
    if missing.name is None or not missing.name.startswith("sklearn"):
        raise
    raise ModuleNotFoundError(
        "autodiff_ref.train.sklearn needs scikit-learn: pip install 'manual-grad[sklearn]'", name=missing.name
    ) from missing

Examples = Float[Any, "n d"]
DTYPES = [np.float64, np.float32]


def _steps(self: "SigmoidNetworkClassifier") -> bool:
    """Whether there is a `partial_fit`: an optimiser that steps along the gradient of what it is shown."""
    if isinstance(self.optimizer, str) and self.optimizer == "lbfgs":
        raise AttributeError("partial_fit needs an optimizer that takes steps, such as sgd: lbfgs looks at all examples")
    return True


class _Network(BaseEstimator):
    """What a classifier and a regressor have in common."""

    def __init__(
        self,
        widths: Sequence[int] = (2,),
        *,
        hidden: str = "sigmoid",
        bias: bool = True,
        epochs: int = 200,
        batch_size: int | None = None,
        optimizer: str | Transformation = "lbfgs",
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        gradient: str = "hand",
        standardise: bool = True,
        validation: float = 0.0,
        patience: int = 10,
        shuffle: str = "auto",
        dtype: str = "float64",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.widths = widths
        self.hidden = hidden
        self.bias = bias
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.gradient = gradient
        self.standardise = standardise
        self.validation = validation
        self.patience = patience
        self.shuffle = shuffle
        self.dtype = dtype
        self.warm_start = warm_start
        self.random_state = random_state

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _settings(self) -> Keywords:
        named = self.get_params(deep=False)
        return {name: value for name, value in named.items() if name not in ("class_weight", "warm_start", "random_state")}

    def _keep(self, result: Fit) -> None:
        self.model_, self.history_, self.n_iter_ = result.model, result.history, len(result.history)


class SigmoidNetworkClassifier(ClassifierMixin, _Network):
    """The net of the notes, at any width and depth, trained by the hand-derived gradient.

    Two classes have one logistic output, more of them a softmax. By default it takes the full batch and L-BFGS in float64:
    integer sample weights then count exactly like copies of an example, and there is no rate to choose. For large data:
    `optimizer="sgd", batch_size=128, dtype="float32"`.

    Args:
        widths, hidden, bias, epochs, batch_size, optimizer, learning_rate, momentum, weight_decay, gradient, standardise,
        validation, patience, shuffle, dtype: as for `autodiff_ref.train.fit`.
        class_weight: None, "balanced", or a dict {class: weight}; multiplies `sample_weight`.
        warm_start: whether `fit` goes on from the weights of the fit before.
        random_state: of the initial weights, the validation share and the order of the examples.

    After `fit` it has `classes_`, `model_` (a `Model`), `n_iter_`, `n_features_in_`, and `history_`, a list of `Epoch`.

    Example:
        >>> net = SigmoidNetworkClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
        >>> net.predict([[0.5], [2.5]]).tolist()
        ['no', 'yes']
    """

    def __init__(
        self,
        widths: Sequence[int] = (2,),
        *,
        hidden: str = "sigmoid",
        bias: bool = True,
        epochs: int = 200,
        batch_size: int | None = None,
        optimizer: str | Transformation = "lbfgs",
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        gradient: str = "hand",
        standardise: bool = True,
        validation: float = 0.0,
        patience: int = 10,
        shuffle: str = "auto",
        dtype: str = "float64",
        class_weight: str | Mapping[object, float] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            widths,
            hidden=hidden,
            bias=bias,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            gradient=gradient,
            standardise=standardise,
            validation=validation,
            patience=patience,
            shuffle=shuffle,
            dtype=dtype,
            warm_start=warm_start,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Examples, y: Any, sample_weight: ArrayLike | None = None) -> "SigmoidNetworkClassifier":  # noqa: N803 as there
        """Trains on (n, d) examples with (n,) labels: numbers, text, or anything hashable in an array of objects."""
        x, y = self._examples(X, y, reset=True)
        classes, codes = _encoded(y)
        if len(classes) < 2:
            raise ValueError(f"y has one class alone, {str(classes[0])!r}: there must be at least two classes")
        again = self.warm_start and hasattr(self, "model_") and np.array_equal(classes, self.classes_)
        result = fit(
            x,
            codes,
            example_weights=self._weights(x, codes, classes, sample_weight),
            seed=self._seed(),
            initial=self.model_.layers if again else None,
            **self._settings(),
        )
        self._keep(result)
        self.classes_ = classes
        self._taken: tuple[State, int, int] | None = None
        return self

    @available_if(_steps)
    def partial_fit(
        self,
        X: Examples,  # noqa: N803 as in scikit-learn
        y: Any,
        classes: Sequence[object] | np.ndarray | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "SigmoidNetworkClassifier":
        """One pass over these examples, from where the call before has left off.

        Args:
            X: (n, d); the first call's mean and standard deviation are those that all calls are standardised by.
            y: (n,).
            classes: all classes there will be; needed in the first call where its examples do not have them all.
            sample_weight: (n,), how often each example counts.
        """
        self._taken = getattr(self, "_taken", None)
        first = self._taken is None
        x, y = self._examples(X, y, reset=first)
        if first:
            self.classes_, _ = _encoded(y if classes is None else np.asarray(classes))
        elif classes is not None and not np.array_equal(_encoded(np.asarray(classes))[0], self.classes_):
            raise ValueError(f"classes must be those of the first call, {list(self.classes_)}, got {list(classes)}")
        codes = _encoded(y, self.classes_)[1]
        if len(self.classes_) < 2:
            raise ValueError(f"there is one class alone, {str(self.classes_[0])!r}: name all classes in the first call")
        if isinstance(self.class_weight, str):
            raise ValueError("class_weight='balanced' needs all examples at once: give partial_fit a dict of weights")
        c = self._weights(x, codes, self.classes_, sample_weight)
        self._pass(x, codes, c)
        return self

    def _pass(self, x: np.ndarray, codes: np.ndarray, c: np.ndarray | None) -> None:
        chosen = Settings(seed=self._seed() if self._taken is None else 0, **self._settings())
        dtype, n = np.dtype(chosen.dtype), len(x)
        with jax.enable_x64(chosen.dtype == "float64"), kept():
            recipe = Recipe(chosen.method, chosen.hidden, chosen.gradient)
            if self._taken is None:
                outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
                layers = starting_layers(None, x.shape[1], outputs, chosen)
                scaling = moments_of(x, None, c).scaling(chosen.standardise)
                state, number, seed = start(recipe, layers), 0, chosen.seed
                kept_classes = self.classes_ if self.classes_.dtype != object else np.arange(len(self.classes_))
                self.model_ = Model(layers, chosen.hidden, kept_classes, scaling, training=chosen.about())
            else:
                state, number, seed = self._taken
                state = jax.device_put(state)
            table = table_of(x, codes_of(codes, len(self.classes_)), c, None, self.model_.scaling, dtype)
            batch = min(n, chosen.batch_size or n)
            for segment in Shuffler(table, batch, seed, "examples", n=n).epoch(number):
                state, _ = epoch(recipe, state, segment.table, chosen.weight_decay / n, batch_size=batch, n=segment.n)
            state = jax.tree.map(np.array, state)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.layers)):
            raise FloatingPointError("training diverged: try a lower learning_rate")
        self._taken = State(*state), number + 1, seed
        self.model_ = Model(
            state.layers, chosen.hidden, self.model_.classes, self.model_.scaling, training=self.model_.training
        )
        self.n_iter_ = number + 1

    def decision_function(self, X: Examples) -> Float[np.ndarray, "..."]:  # noqa: N803 as in scikit-learn
        """(n,), the log-odds of the second class; (n, K) for more than two."""
        check_is_fitted(self)
        return self.model_.score(validate_data(self, X, dtype=DTYPES, reset=False))

    def predict_proba(self, X: Examples) -> Float[np.ndarray, "n classes"]:  # noqa: N803 as in scikit-learn
        """The probability of every class, in the order of `classes_`."""
        check_is_fitted(self)
        return self.model_.probabilities(validate_data(self, X, dtype=DTYPES, reset=False))

    def predict_log_proba(self, X: Examples) -> Float[np.ndarray, "n classes"]:  # noqa: N803 as in scikit-learn
        """Its logarithm."""
        return np.log(self.predict_proba(X))

    def predict(self, X: Examples) -> np.ndarray:  # noqa: N803 as in scikit-learn
        """The most probable class."""
        z = self.decision_function(X)
        return self.classes_[(z >= 0).astype(int) if z.ndim == 1 else np.argmax(z, axis=1)]

    def score(self, X: Examples, y: ArrayLike, sample_weight: Float[np.ndarray, " n"] | None = None) -> float:  # noqa: N803 as in scikit-learn
        """The share of rows that are predicted right; of labels of any kind, which scikit-learn's own does not compare."""
        right = [bool(a == b) for a, b in zip(self.predict(X), np.asarray(y), strict=True)]
        return float(np.average(right, weights=sample_weight))

    def _examples(self, x: Examples, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        given = np.asarray(y)
        if given.dtype == object and given.ndim == 1 and not all(isinstance(label, str) for label in given):
            stand_in: Any = np.zeros(len(given))
            x, _ = validate_data(self, x, stand_in, dtype=DTYPES, reset=reset)
            return x, given
        x, y = validate_data(self, x, y, dtype=DTYPES, reset=reset)
        check_classification_targets(y)
        return x, column_or_1d(y, warn=True)

    def _weights(
        self, x: np.ndarray, codes: np.ndarray, classes: np.ndarray, sample_weight: ArrayLike | None
    ) -> np.ndarray | None:
        c = _sample_weight(sample_weight, x)
        if self.class_weight is None:
            return c
        if isinstance(self.class_weight, dict):
            given = dict(self.class_weight)
            by_class = np.array([given.pop(label, 1.0) for label in classes.tolist()])
            if given:
                raise ValueError(f"class_weight names {list(given)}, which are none of the classes {classes.tolist()}")
        else:
            by_class = compute_class_weight(
                self.class_weight, classes=np.arange(len(classes)), y=codes, sample_weight=sample_weight
            )
        of_both, name = (
            (by_class[codes], "class_weight") if c is None else (by_class[codes] * c, "class_weight · sample_weight")
        )
        require_weights(of_both, name)
        return of_both


class SigmoidNetworkRegressor(RegressorMixin, _Network):
    """The net of the notes with an identity for its output, trained by the hand-derived gradient of −½ Σ c_i (y_i − z_i)².

    By default it takes the full batch and L-BFGS in float64, with y standardised. Integer sample weights count exactly like
    copies of an example.

    Args:
        widths, hidden, bias, epochs, batch_size, optimizer, learning_rate, momentum, weight_decay, gradient, standardise,
        validation, patience, shuffle, dtype: as for `autodiff_ref.train.fit`.
        warm_start: whether `fit` goes on from the weights of the fit before.
        random_state: of the initial weights, the validation share and the order of the examples.

    After `fit` it has `model_` (a `Model`), `n_iter_`, `n_features_in_`, and `history_`, a list of `Epoch`.

    Example:
        >>> net = SigmoidNetworkRegressor(random_state=0).fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0])
        >>> net.predict([[0.5], [2.5]]).round(1).tolist()
        [0.5, 2.5]
    """

    def fit(self, X: Examples, y: Any, sample_weight: ArrayLike | None = None) -> "SigmoidNetworkRegressor":  # noqa: N803 as there
        """Trains on (n, d) examples with (n,) numbers."""
        x, y = validate_data(self, X, y, dtype=DTYPES, y_numeric=True)
        c = _sample_weight(sample_weight, x)
        again = self.warm_start and hasattr(self, "model_")
        initial = self.model_.layers if again else None
        numbers = column_or_1d(y, warn=True)
        self._keep(
            fit(x, numbers, example_weights=c, seed=self._seed(), initial=initial, output="identity", **self._settings())
        )
        return self

    def predict(self, X: Examples) -> Float[np.ndarray, " n"]:  # noqa: N803 as in scikit-learn
        """The number predicted for each row."""
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, dtype=DTYPES, reset=False))


def _sample_weight(given: ArrayLike | None, x: Examples) -> np.ndarray | None:
    c = None if given is None else _check_sample_weight(given, x, dtype=np.float64)
    return checked_weights(c, len(x), "sample_weight")


def _encoded(y: np.ndarray, classes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(classes, y as their numbers). Sorted; where labels cannot be compared, by the names of their types and by `repr`."""
    if classes is None:
        try:
            classes = np.unique(y)
        except TypeError:
            several = sorted(set(y.tolist()), key=lambda label: (type(label).__name__, repr(label)))
            classes = np.empty(len(several), object)
            classes[:] = several
    numbers = {label: number for number, label in enumerate(classes.tolist())}
    unknown = sorted({repr(label) for label in y.tolist() if label not in numbers})
    if unknown:
        raise ValueError(f"y has classes that are none of {classes.tolist()}: {', '.join(unknown[:6])}")
    return classes, np.array([numbers[label] for label in y.tolist()], dtype=np.int64)
