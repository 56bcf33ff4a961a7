"""What is said of a wrong gradient is so, and of a wrong argument what is asked for."""

import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref import assert_derivation, assert_gradients_agree, verify
from autodiff_ref.verify import LineError, strategies
from manual_grad import Derivation, reals, signs
from tests.compiled import compiled

W, X, Y = np.array([0.5, -1.0]), np.array([[1.0, 2.0], [0.25, -1.0], [3.0, 0.5]]), np.array([1.0, -1.0, 1.0])
ALIKE = np.array([0.5, 0.5]), np.ones((2, 2)), np.array([-1.0, -1.0])


def losses(w, x, y):
    return np.log1p(np.exp(-y * (x @ w)))


def loss(w, x, y):
    return np.sum(losses(w, x, y))


def gradient(w, x, y):
    return -x.T @ (y / (1 + np.exp(y * (x @ w))))


def looped(w, x, y):
    """It cannot be traced."""
    w = compiled(w)
    return -sum(label * row / (1 + np.exp(float(label * row @ w))) for row, label in zip(x, y, strict=True))


def said_of(candidate, *args):
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(candidate, loss, *args)
    return str(failed.value)


@pytest.mark.parametrize("right", [gradient, looped])
@pytest.mark.parametrize("args", [(W, X, Y), ALIKE, (W[:1], X[:1, :1], Y[:1])])
def test_a_factor_is_named_with_the_digits_that_tell_it_from_1(right, args):
    for factor, named in ((-1, "-1"), (1 / 3, "0.3333333"), (1 + 1e-10, "1 + 1e-10"), (1 - 2e-6, "1 − 2e-06")):
        said = said_of(lambda w, x, y, factor=factor: factor * right(w, x, y), *args)
        every = "every component" if len(args[0]) > 1 else "it"
        assert f"{every} is {named} times what it should be" in said
    assert f"{every} is 0\n" in said_of(lambda w, x, y: 0 * right(w, x, y), *args)


@pytest.mark.parametrize("args", [(W, X, Y), ALIKE, (W[:1], X[:1, :1], Y[:1])])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda w, x, y: -x.T @ (y / (1 + np.exp(-y * (x @ w)))),
        lambda w, x, y: gradient(w, x, y) + 1e-6 * w,
        lambda w, x, y: -x.T @ (1 / (1 + np.exp(y * (x @ w)))) if len(y) > 1 else gradient(w, x, y) * np.exp(w),
    ],
)
def test_what_is_no_factor_is_not_called_one_where_the_input_is_all_alike(wrong, args):
    assert "times what it should be" not in said_of(wrong, *args)


def test_a_value_that_overflows_inside_is_said_to_be_nan():
    def naive(w, x, y):
        m = y * (x @ w)
        return -x.T @ (y * np.exp(-m) / (1 + np.exp(-m)))

    with np.errstate(all="ignore"):
        said = said_of(naive, np.array([5.0, 5.0]), np.full((3, 2), 80.0), -np.ones(3))
    assert "naive returns NaN where the gradient is finite: as a real function it is right, so that an intermediate" in said
    assert "something else" not in said
    assert "inf" not in said


def test_of_a_vector_where_a_scalar_is_meant_its_sum_is_proposed():
    proposed = r"`losses` returns shape \(3,\): did you mean its sum\?"
    with pytest.raises(AssertionError, match=proposed):
        assert_gradients_agree(gradient, losses, W, X, Y)
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda *args: gradient(*args)[:1], losses, W, X, Y)
    assert "sum" not in str(failed.value)

    def line(w, x, y):
        return -x.T @ (y / (1 + jnp.exp(y * (x @ w))))

    def of(w, x, y):
        return jnp.log1p(jnp.exp(-y * (x @ w)))

    domain = (reals("d"), reals("n", "d"), signs("n"))
    with pytest.raises(LineError, match=r"line returns shape .*`of` returns shape \(\d,\): did you mean its sum\?"):
        verify(Derivation("vector", of=of, wrt="w", domain=domain, lines=[line]))


def test_a_line_that_calls_numpy_on_what_is_traced_is_told_of_jax_numpy():
    def line(w, nabla):
        return 2 * np.exp(w)

    numpy_line = Derivation("exp", of=lambda w: jnp.sum(jnp.exp(w)), wrt="w", domain=(reals("d"),), lines=[line])
    with pytest.raises(LineError, match=r"line raised TracerArrayConversionError .*: use jax\.numpy in place of numpy"):
        verify(numpy_line)


def test_a_loss_that_cannot_be_traced_is_named_with_one_error():
    def untraced(w):
        return np.sum(compiled(w))

    with pytest.raises(TypeError, match=r"^`untraced` cannot be traced: .* at compiled.py:\d+: write it with") as failed:
        assert_gradients_agree(lambda w: w, untraced, W)
    assert "Tracer" not in str(failed.value)
    with pytest.raises(TypeError, match=r"^`loss` cannot be traced: .*missing 1 required") as failed:
        assert_gradients_agree(gradient, loss, W, X)
    assert "TypeError" not in str(failed.value)


def test_what_is_no_derivation_or_domain_is_refused_by_what_is_asked_for():
    with pytest.raises(TypeError, match="verify takes a Derivation, got 3: for one gradient"):
        verify(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="assert_derivation takes a Derivation, got 3"):
        assert_derivation(3)  # pyright: ignore
    for wrong in ((3, 4), reals("n"), 3, ()):
        with pytest.raises(TypeError, match=r"a domain is a tuple with one of reals\(…\), signs\(…\), … for each argument"):
            strategies.arguments(wrong)  # pyright: ignore


@pytest.mark.parametrize("size", [(2, 5), -1, 0, 2.5])
def test_sizes_of_arguments_are_whole_numbers(size):
    with pytest.raises(ValueError, match=r"the size of 'n' must be a whole number from 1 on, got "):
        strategies.arguments((reals("n"),), sizes={"n": size})


def test_a_condition_on_arguments_is_a_function():
    with pytest.raises(TypeError, match="`where` must be a predicate on the arguments, got 3"):
        strategies.arguments((reals("n"),), where=3)  # pyright: ignore[reportArgumentType]
