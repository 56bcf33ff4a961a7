"""Data that the tests of training share."""

import csv

import numpy as np
import pytest


@pytest.fixture
def examples():
    """200 examples of 4 features whose labels a net of two units can learn, far from separable by one line."""
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 4))
    y = np.where(np.abs(x[:, 0]) + 0.5 * random.standard_normal(200) > 0.8, "outside", "inside")
    return x, y


@pytest.fixture
def write_csv(tmp_path):
    """Writes rows to a CSV file and returns its path."""

    def write(rows, name="data.csv", **options):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, **options).writerows(rows)
        return path

    return write
