"""Complex numbers are followed as pairs of reals: the same values, JAX's derivatives, and digits as of any real program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from autodiff_ref import assert_backward_agrees, assert_gradients_agree, assert_rule, check_intermediates, verify
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.program.pairs import in_reals
from autodiff_ref.judge.program.walk import plan
from manual_grad import Derivation, reals

Z = np.array([0.5 + 1j, -1.25 + 0.75j, 2 - 1j, -0.375 - 0.5j, 1.125 + 0.25j])
M = np.array([[0.5 + 1j, -1.25 + 0.75j, 2 - 1j], [1 - 0.5j, 0.25j, -0.75 + 1.5j]])
X = np.array([0.5, -1.0, 2.0, 0.25, 0.75, -1.5])


def parts(tree):
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return [part for x in leaves for part in ((x.real, x.imag) if x.dtype.kind == "c" else (x,))]


INVERSES = (jnp.arcsin, jnp.arccos, jnp.arctan, jnp.arcsinh, jnp.arccosh, jnp.arctanh)

PROGRAMS = {
    "powers": (lambda z: (z**2, z**-3, z**0.5, z**z, 1 / z, z**0), Z),
    "elementary": (lambda z: (jnp.exp(z), jnp.log(z), jnp.sqrt(z), jnp.log1p(z), jnp.expm1(z), jax.lax.rsqrt(z)), Z),
    "circular": (lambda z: (jnp.sin(z), jnp.cos(z), jnp.tan(z), jnp.sinh(z), jnp.cosh(z), jnp.tanh(z)), Z),
    "inverse": (lambda z: tuple(f(z) for f in INVERSES), Z),
    "inverse, on the cuts": (lambda z: tuple(f(z) for f in INVERSES), np.array([2, -2, 2j, -2j, 0, 0.5, -0.25, 0.75j]) + 0j),
    "inverse, of gradients": (lambda z: [jax.grad(lambda z, f=f: jnp.sum(f(z) * Z).imag)(z) for f in INVERSES], Z),
    "parts": (lambda z: (jnp.abs(z), jnp.angle(z), z.real, z.imag, jnp.conj(z), jnp.sign(z)), Z),
    "products": (lambda m: (m @ m.T.conj(), jnp.vdot(m, m), jnp.outer(m, m), jnp.einsum("ij,kj->ik", m, m)), M),
    "sums": (lambda z: (jnp.sum(z), jnp.prod(z), jnp.cumsum(z), jnp.mean(z), jnp.var(z), jnp.linalg.norm(z)), Z),
    "moved": (lambda m: (m[:, ::-1], m.T, m.reshape(-1)[1:], jnp.pad(m, 1), jnp.concatenate([m, m]), jnp.roll(m, 1)), M),
    "chosen": (lambda z: (jnp.where(z.real > 0, z, 2j), z[jnp.array([2, 0])], z.at[1].add(1j), z.at[0].set(3)), Z),
    "compared": (lambda z: (z == z[0], z != 0, jnp.isnan(z)), Z),
    "of reals": (lambda x: (jnp.exp(1j * x), x + 2j, x * (1 + 1j) / (2 - 1j), jax.lax.complex(x, x)), X),
    "convolved": (lambda z: jnp.convolve(z, jnp.array([1.0 + 1j, 2.0])), Z),
    "scan": (lambda z: jax.lax.scan(lambda c, x: (c * x + 1j, c.real), z[0], z), Z),
    "for": (lambda z: jax.lax.fori_loop(0, 3, lambda k, c: c * z[k] + 1j, z[0]), Z),
    "while": (lambda z: jax.lax.while_loop(lambda c: jnp.abs(c) < 10, lambda c: c * (1 + 1j), z[0]), Z),
    "cond": (lambda z: jax.lax.cond(z[0].real > 0, lambda c: c * 2j, lambda c: c, z), Z),
    "fft": (lambda z: (jnp.fft.fft(z), jnp.fft.ifft(z), jnp.fft.fft(z, n=7), jnp.fft.fft(z, n=8), jnp.fft.fftshift(z)), Z),
    "rfft": (lambda x: (jnp.fft.rfft(x), jnp.fft.rfft(x, n=5), jnp.fft.fft(x), jnp.fft.rfft(x, n=12)), X),
    "irfft": (lambda z: (jnp.fft.irfft(z), jnp.fft.irfft(z, n=9), jnp.fft.hfft(z)), Z),
    "fft2": (lambda m: (jnp.fft.fft2(m), jnp.fft.ifft2(m), jnp.fft.irfft2(m), jnp.fft.rfft2(m.real), jnp.fft.fftn(m)), M),
    "fft along": (lambda m: (jnp.fft.fft(m, axis=0), jnp.fft.ifft(m, axis=0, norm="ortho")), M),
    "one alone": (lambda z: (jnp.fft.fft(z[:1]), jnp.fft.rfft(z[:1].real), jnp.fft.irfft(z[:1], n=1)), Z),
    "a gradient": (jax.grad(lambda z: jnp.sum(jnp.abs(jnp.fft.fft(z)) ** 1.5 * jnp.arange(5.0)) + jnp.sum(jnp.angle(z))), Z),
    "a gradient of reals": (jax.grad(lambda x: jnp.sum(jnp.abs(jnp.fft.rfft(x) * (2 + 1j)) ** 2)), X),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_in_reals_computes_the_same(name):
    f, given = PROGRAMS[name]
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(f)(given)
        made = in_reals(closed)
        assert "c128" not in str(made)
        found = jax.jit(core.jaxpr_as_fun(made))(*parts(given))
        wanted = parts(jax.jit(f)(jnp.asarray(given)))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(ours, float), theirs.astype(float), rtol=1e-13, atol=1e-13)


def test_an_equation_in_reals_stands_where_the_complex_one_stood():
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda x: jnp.abs(jnp.exp(1j * x)))(X)
    places = {id(eqn.source_info) for eqn in closed.jaxpr.eqns}
    assert {id(eqn.source_info) for eqn in in_reals(closed).jaxpr.eqns} <= places


def test_a_real_program_is_left_as_it_is():
    closed = jax.make_jaxpr(jnp.sin)(1.0)
    assert in_reals(closed) is closed


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 12])
def test_the_transform_and_back_is_exactly_nothing_in_balls(n):
    x = np.arange(1, n + 1) / 8 - 0.3
    with jax.enable_x64(True):
        plans = [
            plan(jax.make_jaxpr(f)(x), BALLS)
            for f in (
                lambda x: x,
                lambda x: jnp.fft.ifft(jnp.fft.fft(x)).real,
                lambda x: jnp.fft.irfft(jnp.fft.rfft(x), n=n),
                lambda x: jnp.fft.irfft(jnp.fft.rfft(x), n=n) * (1 + 2.0**-22),
            )
        ]
    same, *others = [evaluator(each, (x,)) for each in plans]
    assert [compare(same, other, allowed=0.0).outcome for other in others] == ["equal", "equal", "different"]


def test_what_has_no_rule_is_named():
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match=r"`lu` of complex numbers"):
        plan(jax.make_jaxpr(lambda x: jnp.linalg.inv(x + 1j).real)(np.eye(2)), BALLS)


# Lines of derivations


def spectrum(x):
    """Σ k |X_k|², X the transform of x"""
    return jnp.sum(jnp.arange(x.shape[0]) * jnp.abs(jnp.fft.fft(x)) ** 2)


def by_the_transform_back(x, nabla):
    """2n Re F⁻¹(k X)"""
    n = x.shape[0]
    return 2 * n * jnp.fft.ifft(jnp.arange(n) * jnp.fft.fft(x)).real


def without_the_length(x, nabla):
    """2 Re F⁻¹(k X)"""
    return 2 * jnp.fft.ifft(jnp.arange(x.shape[0]) * jnp.fft.fft(x)).real


def by_the_transform_again(x, nabla):
    """2 Re F(k X), where its conjugate is transformed"""
    return 2 * jnp.fft.fft(jnp.arange(x.shape[0]) * jnp.fft.fft(x)).real


def with_a_factor(x, nabla):
    """2n Re F⁻¹(k X), a part in 10⁹ off"""
    return by_the_transform_back(x, nabla) * (1 + 1e-9)


def test_lines_with_a_transform_are_judged():
    derivation = Derivation("∇ Σ k|X|²", of=spectrum, wrt=None, domain=(reals("n"),), lines=[by_the_transform_back])
    report = verify(derivation, examples=2)
    assert report.ok, str(report)
    for wrong in (without_the_length, by_the_transform_again, with_a_factor):
        report = verify(derivation.with_lines(wrong), examples=2)
        assert report.first_wrong_line == wrong.__name__, str(report)


# Assertions, in JAX and in NumPy, by real and by complex arguments


def energy(x):
    return np.sum(np.abs(np.fft.fft(x)) ** 2)


def filtered(w, x):
    y = np.fft.irfft(np.fft.rfft(x) * w, n=x.shape[0])
    return 0.5 * np.sum(y**2)


def filtered_by_w(w, x):
    spectrum = np.fft.rfft(x)
    y = np.fft.irfft(spectrum * w, n=5)
    return (np.fft.rfft(y) / 5 * np.array([1, 2, 2])).conj() * spectrum


def filtered_by_x(w, x):
    y = np.fft.irfft(np.fft.rfft(x) * w, n=5)
    return np.fft.irfft(np.fft.rfft(y) * np.conj(w), n=5)


def unconjugated(w, x):
    y = np.fft.irfft(np.fft.rfft(x) * w, n=5)
    return np.fft.irfft(np.fft.rfft(y) * w, n=5)


def held(z):
    out = np.zeros(3, dtype=complex)
    out[0] = z[1] * 1j
    out[1:] = z[:2]
    return np.sum(out.real * out.imag)


def held_gradient(z):
    return np.array([z[0].imag - 1j * z[0].real, 0 * z[1], 0 * z[2]])


SPECTRAL = np.array([1 + 0j, 0.5 - 0.25j, -1 + 2j])
RIGHT = {
    "NumPy, real": (lambda x: 10 * x, energy, X[:5]),
    "NumPy, back": (lambda x: 10 * np.fft.ifft(np.fft.fft(x)).real, energy, X[:5]),
    "NumPy, complex": (lambda z: 2 * np.conj(z), lambda z: np.sum(np.abs(z) ** 2), Z),
    "NumPy, methods": (lambda z: 2 * z.conj(), lambda z: np.sum(z.real**2 + z.imag**2), Z),
    "NumPy, buffers": (held_gradient, held, Z[:3]),
    "NumPy, the angle": (lambda z: -(z.imag + 1j * z.real) / np.abs(z) ** 2, lambda z: np.sum(np.angle(z)), Z),
    "NumPy, by a filter": (filtered_by_w, filtered, SPECTRAL, X[:5]),
    "JAX, complex": (lambda z: 2 * jnp.conj(z), lambda z: jnp.sum(jnp.abs(z) ** 2), Z),
    "JAX's own": (
        jax.grad(lambda z: jnp.sum(jnp.abs(jnp.fft.fft(z) * jnp.exp(1j * z)) ** 2)),
        lambda z: jnp.sum(jnp.abs(jnp.fft.fft(z) * jnp.exp(1j * z)) ** 2),
        Z,
    ),
    "data is complex": (lambda a, z: np.sum(np.abs(z) ** 2), lambda a, z: a * np.sum(np.abs(z) ** 2), 1.5, Z),
    "one number": (lambda z: 2 * np.conj(z), lambda z: np.abs(z) ** 2, 0.5 - 1.25j),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_gradient_passes_and_a_factor_in_it_is_seen(name):
    gradient, of, *args = RIGHT[name]
    assert_gradients_agree(gradient, of, *args)
    with pytest.raises(AssertionError, match=r"1 \+ 1e-05 times"):
        assert_gradients_agree(lambda *args: gradient(*args) * (1 + 1e-5), of, *args)


def test_a_gradient_by_a_real_argument_beside_a_complex_one():
    assert_gradients_agree(filtered_by_x, filtered, SPECTRAL, X[:5], wrt="x")
    with pytest.raises(AssertionError):
        assert_gradients_agree(unconjugated, filtered, SPECTRAL, X[:5], wrt="x")


def test_the_other_convention_is_named_and_another_mistake_is_not_taken_for_it():
    of = lambda z: np.sum(np.abs(z) ** 2)  # noqa: E731
    with pytest.raises(AssertionError, match="it is the conjugate of JAX's gradient"):
        assert_gradients_agree(lambda z: 2 * z, of, Z)
    with pytest.raises(AssertionError, match=r"in z\.(real|imag)\[") as caught:
        assert_gradients_agree(lambda z: 3 * z, of, Z)
    assert "conjugate" not in str(caught.value)


def test_a_complex_loss_and_writing_into_a_part_are_refused_in_words_of_our_own():
    with pytest.raises(TypeError, match="returns complex128, and what is differentiated returns real numbers"):
        assert_gradients_agree(lambda z: 2 * z, lambda z: np.sum(z**2), Z)

    def overwritten(z):
        z.real[0] = 3.0
        return np.sum(np.abs(z) ** 2)

    with pytest.raises(TypeError, match="read-only"):
        assert_gradients_agree(lambda z: 2 * z.conj(), overwritten, Z)


def test_steps_may_be_complex_between_those_that_are_judged():
    x, k = X[:4], np.arange(4.0)

    def loss(x):
        spectrum = np.fft.fft(x)
        power = np.abs(spectrum) ** 2
        return np.sum(power * k)

    dx = 8 * np.fft.ifft(k * np.fft.fft(x)).real
    check_intermediates(loss, {"dpower": k, "dx": dx}, x)
    with pytest.raises(AssertionError, match="dx is not"):
        check_intermediates(loss, {"dpower": k, "dx": dx / 4}, x)
    with pytest.raises(TypeError, match="`spectrum` is complex"):
        check_intermediates(loss, {"dspectrum": k, "dx": dx}, x)


def test_a_backward_whose_steps_are_complex_is_judged_and_one_of_complex_arguments_refused():
    def powers(x):
        spectrum = np.fft.rfft(x)
        return np.abs(spectrum) ** 2, (spectrum, len(x))

    def powers_backward(dout, cache):
        spectrum, n = cache
        full = np.zeros(n, dtype=complex)
        full[: len(spectrum)] = 2 * dout * spectrum
        return (np.fft.ifft(full) * n).real

    assert_backward_agrees(powers, powers_backward, X)
    with pytest.raises(AssertionError, match="2 times what it should be"):
        assert_backward_agrees(powers, lambda dout, cache: 2 * powers_backward(dout, cache), X)
    with pytest.raises(TypeError, match="complex arguments and outputs are not judged here"):
        assert_backward_agrees(lambda z: (2j * z, z), lambda dout, z: -2j * dout, Z)


def powers_with_a_rule(factor):
    def powers(x):
        return jnp.abs(jnp.fft.rfft(x)) ** 2

    def backward(x, g):
        spectrum = jnp.fft.rfft(x)
        full = jnp.zeros(x.shape[0], complex).at[: spectrum.shape[0]].set(2 * g * spectrum)
        return ((jnp.fft.ifft(full) * x.shape[0]).real * factor,)

    made = jax.custom_vjp(powers)
    made.defvjp(lambda x: (powers(x), x), backward)
    return made


def test_a_rule_whose_steps_are_complex_is_judged():
    assert_rule(powers_with_a_rule(1), domain=(reals(5),))
    with pytest.raises(AssertionError, match="WRONG"):
        assert_rule(powers_with_a_rule(1 + 1e-6), domain=(reals(5),))


SLOPES = {
    np.arcsin: lambda z: 1 / np.sqrt(1 - z**2),
    np.arccos: lambda z: -1 / np.sqrt(1 - z**2),
    np.arctan: lambda z: 1 / (1 + z**2),
    np.arcsinh: lambda z: 1 / np.sqrt(1 + z**2),
    np.arccosh: lambda z: 1 / (np.sqrt(z - 1) * np.sqrt(z + 1)),
    np.arctanh: lambda z: 1 / (1 - z**2),
}


@pytest.mark.parametrize("f", SLOPES, ids=lambda f: f.__name__)
def test_inverse_functions_in_numpy_and_a_slope_that_is_a_little_wrong(f):
    def of(z):
        return np.sum(f(z).real)

    assert_gradients_agree(SLOPES[f], of, Z)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda z: SLOPES[f](z) * (1 + 1e-12), of, Z)
