"""Programs are compiled quickly, but for tests of rounding, and the ones are never taken for the others."""

import jax
import numpy as np
import pytest
from jax._src import compiler

from tests import quickly
from tests.combinations import exploring

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu" or exploring(), reason="all is compiled as users compile it")


def options():
    return dict(compiler.get_compile_options(num_replicas=1, num_partitions=1).env_option_overrides)


def test_programs_are_compiled_quickly():
    assert "xla_backend_optimization_level" in options()


@pytest.mark.rounding
def test_those_of_rounding_are_compiled_as_users_compile_them():
    assert not options()


def test_what_was_compiled_quickly_is_compiled_again_for_rounding():
    twice = jax.jit(lambda x: 2 * x)
    assert twice(np.ones(3)).sum() == 6
    quickly.compile_quickly(False)
    assert twice(np.ones(3)).sum() == 6
    assert twice._cache_size() == 2
