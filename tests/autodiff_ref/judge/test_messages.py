"""What is said of a wrong gradient is so, and of a wrong argument what is asked for."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import log_sigmoid, sigmoid

from autodiff_ref import assert_backward_agrees, assert_derivation, assert_gradients_agree, check_intermediates, verify
from autodiff_ref.judge import strategies
from autodiff_ref.verify import LineError
from manual_grad import Derivation, classes, intervals, reals, signs
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


def test_a_line_whose_numbers_leave_its_arrays_is_told_where_and_what_to_do():
    def line(w, nabla):
        return np.frombuffer(memoryview(np.exp(w)))

    derivation = Derivation("exp", of=lambda w: jnp.sum(jnp.exp(w)), wrt="w", domain=(reals("d"),), lines=[line])
    with pytest.raises(LineError, match=r"line raised .* test_messages\.py:\d+"):
        verify(derivation)


def test_a_line_that_has_no_nabla_or_hands_it_a_value_is_told_what_to_write():
    def without(w, x, y):
        return jnp.ones(len(y)) @ nabla(losses)(w, x, y)  # noqa: F821 (which is the mistake)

    def of_a_value(w, x, y, nabla):
        return jnp.ones(len(y)) @ nabla(x @ w)

    for line, said in (
        (without, r"without raised NameError.*: give it the argument, without\(w, x, y, nabla\)"),
        (of_a_value, r"of_a_value raised TypeError in test_messages\.py:\d+: .*write nabla\(f\)\(w, x\), and not"),
    ):
        domain = reals("d"), reals("n", "d"), signs("n")
        with pytest.raises(LineError, match=said):
            verify(Derivation("mine", of=loss, wrt="w", domain=domain, lines=[line]))


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


# Of whole parameters


def test_lambdas_are_named_by_their_source():
    with pytest.raises(AssertionError, match=r"^lambda w: w \* 3 is not ∇lambda w: jnp.sum\(w\*\*2\)\n"):
        assert_gradients_agree(lambda w: w * 3, lambda w: jnp.sum(w**2), W)
    first, second = lambda w: w * 3, lambda w: w * 5
    with pytest.raises(AssertionError, match=r"^lambda w: w \* 5 is not"):
        assert_gradients_agree(second, lambda w: jnp.sum(w**2), W)
    assert_gradients_agree(first, lambda w: jnp.sum(1.5 * w**2), W)
    with pytest.raises(AssertionError, match=r"^lambda w: w \* 1.0 \+ w \* 2.0 .*… is not"):
        assert_gradients_agree(
            lambda w: w * 1.0 + w * 2.0 + w * 4.0 + w * 8.0 + w * 16.0 + w * 32.0 + w * 64.0 + w * 128.0 + w * 256.0,
            lambda w: jnp.sum(w**2),
            W,
        )


def layers(p, x):
    return np.sum(np.tanh(x @ p["a"] + p["c"]) @ p["b"]) / len(x)


def of_layers(p, x):
    h = np.tanh(x @ p["a"] + p["c"])
    d = np.outer(np.ones(len(x)), p["b"].sum(axis=1)) * (1 - h**2) / len(x)
    return {"a": x.T @ d, "c": d.sum(axis=0), "b": np.outer(h.sum(axis=0), np.ones(p["b"].shape[1])) / len(x)}


P = {"a": np.array([[0.5, -1.0], [0.25, 2.0]]), "c": np.array([0.125, -0.5]), "b": np.array([[1.0, 2.0], [-0.5, 0.75]])}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda g: {**g, "a": 3 * g["a"]}, [r"p['a'] is 3 times what it should be: 3 is the length of x along axis 0"]),
        (lambda g: {**g, "c": g["c"] / 3, "b": -g["b"]}, [r"p['c'] is 0.3333333 times", r"p['b'] is -1 times"]),
        (lambda g: {**g, "a": g["a"].T}, ["p['a'] is transposed", "right: p['b'], p['c']"]),
        (lambda g: {**g, "c": g["c"] + 1e-3}, ["p['c'] is wrong", "right: p['a'], p['b']"]),
        (lambda g: {**g, "b": 0 * g["b"]}, ["p['b'] is 0\n"]),
    ],
)
def test_of_a_net_the_wrong_parameter_is_named_and_what_is_wrong_with_it(mistake, said):
    assert_gradients_agree(of_layers, layers, P, X)
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda p, x: mistake(of_layers(p, x)), layers, P, X)
    for each in said:
        assert each in str(failed.value)


def test_a_symmetric_matrix_that_is_a_little_wrong_is_not_said_to_be_transposed():
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda w: np.diag(6 * w + 1e-7), lambda w: 3 * w**2, np.array([0.5, -1.0, 2.0]))
    assert "transposed" not in str(failed.value)
    assert "check_intermediates" not in str(failed.value)  # which is for losses


def test_an_epsilon_that_the_gradient_leaves_out_is_named_with_its_place():
    def cross_entropy(p, y):
        return -np.sum(y * np.log(p + 1e-7))

    line = cross_entropy.__code__.co_firstlineno + 1
    p, y = np.array([0.25, 0.5, 0.25]), np.array([0.0, 1.0, 0.0])
    with pytest.raises(AssertionError, match=rf"equal if 1e-07 at test_messages.py:{line} were 0"):
        assert_gradients_agree(lambda p, y: -y / p, cross_entropy, p, y)
    assert_gradients_agree(lambda p, y: -y / (p + 1e-7), cross_entropy, p, y)
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda p, y: -y / p**2, cross_entropy, p, y)
    assert "were 0" not in str(failed.value)


def test_shapes_that_differ_by_an_axis_of_1_are_compared_and_then_told_of():
    row = lambda w, x, y: gradient(w, x, y)[None, :]  # noqa: E731
    with pytest.raises(
        AssertionError, match=r"returns shape \(1, 2\), and the gradient has shape \(2,\): the numbers are right"
    ):
        assert_gradients_agree(row, loss, W, X, Y)
    with pytest.raises(AssertionError, match=r"(?s)-1 times what it should be.*it also returns shape \(1, 2\)"):
        assert_gradients_agree(lambda *args: -row(*args), loss, W, X, Y)
    with pytest.raises(AssertionError, match=r"its sum over axis 0 is that gradient\. What is broadcast has the sum"):
        assert_gradients_agree(lambda w, x, y: -x * (y / (1 + np.exp(y * (x @ w))))[:, None], loss, W, X, Y)


def test_shapes_that_are_turned_or_lack_a_sum_are_said_of_the_parameter():
    p = {"m": np.arange(6.0).reshape(2, 3), "v": np.array([1.0, -2.0, 0.5])}
    of = lambda p, x: np.sum((p["m"] * p["v"] + x) ** 2)  # noqa: E731
    x = np.array([[0.5, 1.0, -1.0], [2.0, 0.25, 0.75]])

    def right(p, x):
        d = 2 * (p["m"] * p["v"] + x)
        return {"m": d * p["v"], "v": (d * p["m"]).sum(axis=0)}

    assert_gradients_agree(right, of, p, x)
    with pytest.raises(AssertionError, match=r"^lambda p, x: .* returns shape \(3, 2\) for p\['m'\].*it is transposed$"):
        assert_gradients_agree(lambda p, x: {**right(p, x), "m": right(p, x)["m"].T}, of, p, x)
    with pytest.raises(AssertionError, match=r"returns shape \(2, 3\) for p\['v'\].*its sum over axis 0 is that gradient"):
        assert_gradients_agree(lambda p, x: {**right(p, x), "v": right(p, x)["m"] * p["m"] / p["v"]}, of, p, x)


def test_what_is_not_followed_is_said_with_its_line_and_the_way_on():
    def uses_compiled(w):
        return np.sum(compiled(w) ** 2)

    with pytest.raises(TypeError) as failed:
        assert_gradients_agree(lambda w: 2 * w, uses_compiled, W)
    assert "Tracer" not in str(failed.value)
    assert "at compiled.py:" in str(failed.value)


def test_a_value_of_which_no_digit_is_known_is_0_with_its_radius():
    def strengths(s, i, j):
        return jnp.sum(log_sigmoid(s[i] - s[j]))

    def set_where_it_is_to_add(s, i, j):
        r = sigmoid(s[j] - s[i])
        return jnp.zeros_like(s).at[i].set(r).at[j].add(-r)

    domain = reals(4), classes("n", 4), classes("n", 4)
    said = str(verify(Derivation("ranks", strengths, wrt="s", domain=domain, lines=[set_where_it_is_to_add])))
    assert "∂/∂s[0] = 0 ± 1e-37" in said


def by_newton(x):
    """√x, by steps until they are small"""

    def step(state):
        y, _ = state
        better = (y + x / y) / 2
        return better, jnp.max(jnp.abs(better - y))

    return jax.lax.while_loop(lambda state: state[1] > 1e-12, step, (x, jnp.inf))[0]


def by_data(x):
    return jax.lax.fori_loop(0, 3 + (jnp.sum(x) > 0), lambda _, y: (y + x / y) / 2, x)


def called_back(x):
    return jax.pure_callback(np.sqrt, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")


def by_schur(x):
    return jax.lax.linalg.schur(jnp.outer(x, x))[0]


@pytest.mark.parametrize("steps", [by_newton, by_data, called_back, by_schur])
def test_a_step_without_a_derivative_is_said_with_its_place_and_what_to_do(steps):
    def loss(x):
        y = steps(x)
        return jnp.sum(y**2)

    lines = inspect.getsourcelines(steps)
    last = lines[1] + len(lines[0]) - 1
    said = (
        rf"JAX (cannot differentiate|has no derivative of) .* in test_messages\.py:{last}.*: .*give what it computes a rule"
    )
    x, domain = np.array([2.0, 3.0]), (intervals(0.5, 4, "n"),)
    for judged in (
        lambda: assert_gradients_agree(np.ones_like, loss, x),
        lambda: assert_backward_agrees(lambda x: (loss(x), x), lambda dout, x: dout * x, x),
        lambda: check_intermediates(loss, {"dx": x}, x),
        lambda: verify(Derivation("∇_x", loss, "x", domain, [jnp.ones_like])),
        lambda: verify(Derivation("∇_x", lambda x: jnp.sum(x), "x", domain, [lambda x, nabla: nabla(loss)(x)])),
    ):
        with pytest.raises((TypeError, LineError), match=said) as refused:
            judged()
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("right", [1, 3])
def test_a_component_that_rounded_constants_hide_is_not_said_to_agree(right):
    """Of w[1] the constants 0.1 and 1/10 leave no digit."""

    def of(w, v):
        return w[0] ** 2 + 1e15 * (0.1 * w[1] - w[1] / 10) + np.sum(v**2)

    def gradient(w, v):
        return np.array([250 * w[0], 2e15 * (0.1 * w[0] - w[0] / 10) / w[0]])

    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(gradient, of, np.array([1.0, 2.0]), np.arange(float(right)))
    assert "0 of 2 components agree; of w[1] that is not told" in str(failed.value)

    def by_both(both):
        return {"w": gradient(both["w"], both["v"]), "v": 2 * both["v"]}

    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(by_both, lambda both: of(**both), {"w": np.ones(2), "v": np.arange(float(right))})
    said = str(failed.value)
    assert f"{right} of {right + 2} components agree{'s' * (right == 1)}; of both['w'][1] that is not told" in said
    assert "right: both['v']" in said


@pytest.mark.parametrize("ones", [(1,), (1, 1)])
@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 2)])
def test_of_a_loss_of_one_number_the_gradient_has_the_shape_of_the_argument(ones, shape):
    """Columns times columns are an array of shape (1, 1), which SciPy's optimisers take for a number."""

    def of(w):
        return np.sum(np.exp(w)).reshape(ones)

    w = np.array([0.5, -1.0]).reshape(shape)
    assert_gradients_agree(np.exp, of, w)
    assert_gradients_agree(lambda w: np.exp(w).reshape(*ones, *shape), of, w)
    with pytest.raises(AssertionError, match=r"-1 times what it should be\n") as failed:
        assert_gradients_agree(lambda w: -np.exp(w), of, w)
    assert "it also" not in str(failed.value)
    with pytest.raises(AssertionError, match="reshape them"):
        assert_gradients_agree(lambda w: np.exp(w).reshape(1, 1, 1, 1, 2), of, w)


def test_what_is_wrong_and_of_another_shape_is_no_state_at_a_second_call():
    """The gradient is compared with what is returned when it is called again, in the shape that it was returned in."""
    for w in (W, W + 1):
        with pytest.raises(AssertionError, match=r"(?s)-1 times what it should be.*it also returns shape \(1, 2\)"):
            assert_gradients_agree(turned_and_negative, loss, w, X, Y)


def turned_and_negative(w, x, y):
    return -gradient(w, x, y)[None, :]
