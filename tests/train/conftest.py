"""Data that the tests of training share."""

import csv

import jax
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def compiled_in_less_time(monkeypatch):
    """Most of what a test of training compiles runs for a moment: two thirds of the time without XLA's optimisations."""
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # for the processes that tests start
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


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
