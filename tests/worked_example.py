"""The worked example over fixed folds: for its test, and for `benchmarks/training.py --example`."""

import warnings

from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autodiff_ref.train import fit

OURS, THEIRS = "fit", "scikit-learn's MLPClassifier"


def accuracies() -> dict[str, list[float]]:
    """Accuracy on the test share of five fixed folds of Wisconsin breast cancer, two hidden units and biases

    By `fit` with its defaults, which are those of `manual-grad train`; and by scikit-learn's MLPClassifier of the same
    shape, batches, learning rate and epochs, on standardised features too.
    """
    x, y = load_breast_cancer(return_X_y=True)
    found: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for training, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        model = fit(x[training], y[training]).model
        found[OURS].append(float((model.predict(x[test]) == y[test]).mean()))
        same_shape = MLPClassifier(
            (2,), activation="logistic", solver="sgd", batch_size=32, learning_rate_init=0.1, max_iter=50, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs = make_pipeline(StandardScaler(), same_shape).fit(x[training], y[training])
        found[THEIRS].append(float(theirs.score(x[test], y[test])))
    return found
