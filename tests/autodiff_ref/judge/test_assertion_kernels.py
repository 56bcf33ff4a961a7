"""Kernels, and other code that cannot be traced: judged by what they return, in the rounding of their precision."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.experimental import pallas

from autodiff_ref import UndecidedError, assert_backward_agrees, assert_gradients_agree
from autodiff_ref.judge.assertion.agreement import pair_of
from autodiff_ref.judge.assertion.by_value import twice_the_bound
from autodiff_ref.judge.assertion.exactly import exact_at
from autodiff_ref.judge.assertion.sides import Call
from tests.combinations import chosen, few_or_many

FLOAT32, FLOAT16, BFLOAT16 = np.dtype(np.float32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
LOW = [FLOAT16, BFLOAT16]
EPS = {dtype: float(jnp.finfo(dtype).eps) for dtype in (FLOAT32, FLOAT16, BFLOAT16)}


def loss(x, w):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


def compiled(array):
    """An array of numbers, as compiled code demands it."""
    if isinstance(array, jax.core.Tracer) or type(array) not in (np.ndarray, type(jnp.ones(1))):
        raise TypeError("the kernel wants the numbers of an array")
    return np.asarray(array)


def kernel(*, known=(), times=1.0, entry=0, inside=None):
    """A gradient of the loss that hides what it does.

    Args:
        known: the floats that it takes; all, if none are named.
        times: by what it is wrong.
        entry: which entry is; None for all.
        inside: the floats that it computes in, whatever it is handed; float32 at least if not named.
    """

    def gradient(x, w):
        x, w = compiled(x), compiled(w)
        if known and x.dtype not in known:
            raise TypeError(f"no kernel for {x.dtype}")
        own = inside or (x.dtype if x.dtype.itemsize == 8 else FLOAT32)
        t = np.tanh((x.astype(own) @ w.astype(own)).astype(own)).astype(own)
        made = ((2 * t * (1 - t * t)).astype(own) @ w.astype(own).T).astype(np.float64)
        made.flat[slice(None) if entry is None else entry] *= times
        return made.astype(x.dtype)

    return gradient


def at(dtype, seed=0, jax_array=False):
    rng = np.random.default_rng(seed)
    made = [rng.standard_normal(shape).astype(dtype) for shape in ((4, 3), (3, 2))]
    return list(map(jnp.asarray, made)) if jax_array else made


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("only_its_own", [False, True])
def test_right_kernels_pass_whatever_they_compute_in(dtype, only_its_own):
    known = (dtype,) if only_its_own else ()
    for seed in range(few_or_many(2, 8)):
        args = at(dtype, seed, jax_array=seed % 2 == 1)
        assert_gradients_agree(kernel(known=known), loss, *args)
        if dtype != BFLOAT16:  # of which nothing is left in some entries
            assert_gradients_agree(kernel(known=known, inside=dtype), loss, *args)


@pytest.mark.parametrize(
    ("dtype", "known"), [(FLOAT32, ()), *[(low, ()) for low in LOW], *[(low, (low, FLOAT32)) for low in LOW]]
)
def test_8_units_in_one_entry_are_seen_where_more_precise_floats_are_known(dtype, known):
    for seed in range(few_or_many(1, 3)):
        args = at(dtype, seed)
        for entry in (0, 7):
            with pytest.raises(AssertionError, match="called in float64, or in float32"):
                assert_gradients_agree(kernel(known=known, times=1 + 8 * EPS[dtype], entry=entry), loss, *args)
        if dtype in LOW:
            with pytest.raises(AssertionError, match="not traced"):
                assert_gradients_agree(kernel(known=known, times=1 + 8 * EPS[dtype], entry=None), loss, *args)


def shares_that_rounding_explains(dtype, args):
    """Of each entry, by how much of itself rounding in a precision may put it off."""
    pair = pair_of(kernel(), loss, None, Call.of(args))
    return twice_the_bound(pair.reference, pair.of_arrays, dtype) / exact_at(pair.reference, pair.of_arrays).size


@pytest.mark.parametrize("dtype", EPS, ids=str)
def test_a_kernel_that_knows_its_own_floats_alone_is_held_to_their_bound(dtype):
    args = at(dtype, 1)
    shares = shares_that_rounding_explains(dtype, args)
    for times in (1 + 1.1 * shares.min() + 16 * EPS[dtype], 0.0, -1.0):
        with pytest.raises(AssertionError, match="assumed since gradient is not traced"):
            assert_gradients_agree(kernel(known=(dtype,), times=times, entry=int(shares.argmin())), loss, *args)


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_what_rounding_explains_as_well_as_a_mistake_is_undecided(dtype):
    args = at(dtype, 1)
    times = 1 + 0.8 * shares_that_rounding_explains(dtype, args).min()
    assert times > 1.02
    with pytest.raises(UndecidedError, match=r"a mistake would too\. Let the kernel take float32 as well"):
        assert_gradients_agree(kernel(known=(dtype,), times=times, entry=None), loss, *args)


@pytest.mark.parametrize("dtype", EPS, ids=str)
def test_rounding_to_its_precision_inside_is_no_mistake_in_a_finer_one(dtype):
    """A kernel may take float64 and compute in its own floats: what it is off by there changes from input to input."""
    for seed in range(few_or_many(6, 20)):
        try:
            assert_gradients_agree(kernel(inside=dtype), loss, *at(dtype, seed))
        except UndecidedError:
            assert dtype == BFLOAT16


WITHOUT_POWER = {
    "zeros": ((np.zeros((4, 3)), np.zeros((3, 2))), "the gradient is 0 there, and code that returns zeros"),
    "zeros of data": ((np.ones((4, 3)), np.zeros((3, 2))), "the gradient is 0 there"),
    "equal": ((np.full((4, 3), 0.5), np.full((3, 2), 0.5)), "the gradient has equal entries there, and code that mixes"),
    "equal rows": ((np.full((4, 3), 0.5), np.arange(6.0).reshape(3, 2) / 8), "has equal entries along axis 0 there"),
}


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("name", WITHOUT_POWER)
def test_inputs_without_power_are_refused_by_name(name, dtype):
    args, said = WITHOUT_POWER[name]
    args = [x.astype(dtype) for x in args]
    with pytest.raises(UndecidedError, match=f"an input without power: .*{said}.* would pass. Choose an input"):
        assert_gradients_agree(kernel(), loss, *args)
    if "zeros" not in name:
        with pytest.raises(AssertionError):  # a mistake is a mistake there too
            assert_gradients_agree(kernel(times=-1.0), loss, *args)


def test_a_symmetric_gradient_does_not_tell_a_transposed_one():
    x = np.arange(9.0).reshape(3, 3)
    cubes, transposed = (lambda x: jnp.sum(x**3)), (lambda x: 3 * compiled(x).T ** 2)
    with pytest.raises(UndecidedError, match=r"the gradient is symmetric there, and code that transposes it.*not symmetric"):
        assert_gradients_agree(transposed, cubes, x + x.T)
    with pytest.raises(AssertionError, match="it is transposed"):
        assert_gradients_agree(transposed, cubes, x + 0.5)


OF_A_MATRIX = {
    "log det": (lambda s: jnp.linalg.slogdet(s)[1], lambda s: np.linalg.inv(s).T),
    "quadratic": (lambda s: jnp.sum(VECTOR @ s @ s @ VECTOR), lambda s: TWO @ s.T + s.T @ TWO),
    "cubes": (lambda s: jnp.sum(s**3), lambda s: 3 * s**2),
}
VECTOR = np.array([1.0, -0.5, 0.25])
TWO = np.outer(VECTOR, VECTOR)


def covariance(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (3, 3))
    return x @ x.T + np.eye(3)


@pytest.mark.parametrize("dtype", [np.dtype(np.float64), FLOAT32], ids=str)
@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_a_gradient_by_a_symmetric_matrix_is_decided_beside_it(name, dtype):
    of, gradient = OF_A_MATRIX[name]
    s = covariance(0).astype(dtype)
    assert_gradients_agree(lambda s: gradient(compiled(s)), of, s)
    for wrong in (lambda s: gradient(compiled(s)).T, lambda s: gradient(np.tril(compiled(s)) + np.tril(compiled(s), -1).T)):
        with pytest.raises(UndecidedError, match="Hand in a matrix that is not symmetric"):
            assert_gradients_agree(wrong, of, s)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda s: 1.01 * gradient(compiled(s)), of, s)


def test_code_for_symmetric_matrices_alone_is_decided_once_the_function_says_so():
    def gradient(s):
        lower = np.linalg.inv(np.linalg.cholesky(compiled(s)))
        return lower.T @ lower

    def log_det(s):
        return jnp.linalg.slogdet(s)[1]

    with pytest.raises(UndecidedError, match=r"take \(S \+ S\.T\)/2 for its argument S"):
        assert_gradients_agree(gradient, log_det, covariance(0))
    assert_gradients_agree(gradient, lambda s: log_det((s + s.T) / 2), covariance(0))


def test_a_gradient_that_is_so_at_every_input_has_power():
    x = np.arange(3.0)
    assert_gradients_agree(lambda x: np.ones_like(compiled(x)), jnp.sum, x)
    assert_gradients_agree(lambda x, w: 0 * compiled(x), lambda x, w: jnp.sum(w), x, x)


def test_of_several_arrays_the_one_without_power_is_named():
    def forward(x, w):
        return jnp.sum(x**3 * w), (x, w)

    def backward(dout, cache):
        x, w = map(compiled, cache)
        return 3 * dout * x**2 * w, dout * x**3

    assert_backward_agrees(forward, backward, np.arange(3.0) + 1, np.arange(3.0) + 0.5)
    with pytest.raises(UndecidedError, match="the gradient in w is 0 there"):
        assert_backward_agrees(forward, backward, np.zeros(3), np.arange(3.0) + 0.5)


@pytest.mark.parametrize("dtype", chosen(EPS, lambda dtype: dtype != FLOAT16), ids=str)
def test_a_pallas_kernel(dtype):
    def body(x_ref, out_ref, *, half):
        s = jax.nn.sigmoid(x_ref[...].astype(jnp.float32))
        out_ref[...] = (s * (1 + x_ref[...].astype(jnp.float32) * (half - s))).astype(out_ref.dtype)

    def gradient(x, half=1.0):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return pallas.pallas_call(lambda *refs: body(*refs, half=half), out_shape=shape, interpret=True)(jnp.asarray(x))

    x = jnp.asarray(np.random.default_rng(0).standard_normal(8).astype(dtype))
    swish = lambda x: jnp.sum(x * jax.nn.sigmoid(x))  # noqa: E731
    assert_gradients_agree(gradient, swish, x)
    with pytest.raises(AssertionError, match="is not ∇"):
        assert_gradients_agree(lambda x: gradient(x, 0.5), swish, x)
