"""`check_intermediates`: a chain rule written out, step by step; the first wrong one is named."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref import UndecidedError, check_intermediates

_rng = np.random.default_rng(4)
N, VOCABULARY, HIDDEN = 6, 4, 5
TOKENS, NEXT = _rng.integers(0, VOCABULARY, (N, 2)), _rng.integers(0, VOCABULARY, N)
C, W1 = _rng.standard_normal((VOCABULARY, 3)), _rng.standard_normal((6, HIDDEN)) / 2
GAIN, SHIFT = _rng.uniform(0.5, 1.5, HIDDEN), _rng.standard_normal(HIDDEN) / 4
W2, B2 = _rng.standard_normal((HIDDEN, VOCABULARY)), _rng.standard_normal(VOCABULARY)


def forward(c, w1, gain, shift, w2, b2):
    """Two letters in, the next one out, through batch normalisation: every step has a name"""
    emb = c[TOKENS]
    flat = emb.reshape(N, -1)
    pre = flat @ w1
    mean = pre.sum(0, keepdims=True) / N
    centred = pre - mean
    var = (centred**2).sum(0, keepdims=True) / (N - 1)
    inv = (var + 1e-5) ** -0.5
    hat = centred * inv
    a = gain * hat + shift
    h = np.tanh(a)
    logits = h @ w2 + b2
    top = logits.max(1, keepdims=True)
    shifted = logits - top
    counts = np.exp(shifted)
    total = counts.sum(1, keepdims=True)
    probs = counts / total
    logprobs = np.log(probs)
    return -logprobs[range(N), NEXT].mean()


PARAMETERS = C, W1, GAIN, SHIFT, W2, B2


def by_hand(c, w1, gain, shift, w2, b2):
    """Each step backwards"""
    flat = c[TOKENS].reshape(N, -1)
    pre = flat @ w1
    centred = pre - pre.mean(0)
    inv = ((centred**2).sum(0, keepdims=True) / (N - 1) + 1e-5) ** -0.5
    hat = centred * inv
    h = np.tanh(gain * hat + shift)
    logits = h @ w2 + b2
    counts = np.exp(logits - logits.max(1, keepdims=True))
    total = counts.sum(1, keepdims=True)
    probs = counts / total
    d = {"dlogprobs": np.zeros_like(probs)}
    d["dlogprobs"][range(N), NEXT] = -1 / N
    d["dprobs"] = d["dlogprobs"] / probs
    d["dtotal"] = (-d["dprobs"] * counts / total**2).sum(1, keepdims=True)
    d["dcounts"] = d["dprobs"] / total + d["dtotal"]
    d["dshifted"] = d["dcounts"] * counts
    d["dtop"] = -d["dshifted"].sum(1, keepdims=True)
    d["dlogits"] = d["dshifted"].copy()
    d["dlogits"][range(N), logits.argmax(1)] += d["dtop"][:, 0]
    d["dh"] = d["dlogits"] @ w2.T
    d["dw2"] = h.T @ d["dlogits"]
    d["db2"] = d["dlogits"].sum(0)
    d["da"] = d["dh"] * (1 - h**2)
    d["dgain"], d["dshift"] = (d["da"] * hat).sum(0), d["da"].sum(0)
    d["dhat"] = d["da"] * gain
    d["dinv"] = (d["dhat"] * centred).sum(0, keepdims=True)
    d["dvar"] = -0.5 * inv**3 * d["dinv"]
    d["dcentred"] = d["dhat"] * inv + 2 * centred / (N - 1) * d["dvar"]
    d["dmean"] = -d["dcentred"].sum(0, keepdims=True)
    d["dpre"] = d["dcentred"] + d["dmean"] / N
    d["dflat"], d["dw1"] = d["dpre"] @ w1.T, flat.T @ d["dpre"]
    d["demb"] = d["dflat"].reshape(N, 2, 3)
    d["dc"] = np.zeros_like(c)
    np.add.at(d["dc"], TOKENS, d["demb"])
    return d


GIVEN = by_hand(*PARAMETERS)


def test_twenty_odd_steps_are_judged_in_one_call():
    """One of them is exactly 0 but for rounding: a softmax does not hang on a shift of its scores."""
    assert np.max(np.abs(GIVEN["dtop"])) < 1e-15
    assert len(GIVEN) == 23
    check_intermediates(forward, GIVEN, *PARAMETERS)


@pytest.mark.parametrize("key", ["dvar", *(pytest.param(key, marks=pytest.mark.explore) for key in ("dprobs", "dc"))])
def test_the_first_wrong_step_is_named(key):
    wrong = {**GIVEN, key: GIVEN[key] * -1.5}
    with pytest.raises(AssertionError, match=rf"^{key} is not ∂forward/∂{key[1:]}") as failed:
        check_intermediates(forward, wrong, *PARAMETERS)
    assert "it is -1.5 times what it should be" in str(failed.value)
    one = {**GIVEN, key: GIVEN[key] * (1 + 1e-6 * (np.abs(GIVEN[key]) == np.abs(GIVEN[key]).max()))}
    with pytest.raises(AssertionError, match=rf"^{key} is not"):
        check_intermediates(forward, one, *PARAMETERS)


def test_later_steps_are_judged_given_the_earlier():
    """dh is wrong, and those that follow from it follow rightly, but for dgain, which is wrong by itself"""
    h = np.tanh(forward_a())
    d = {"dlogits": GIVEN["dlogits"], "dh": 2 * GIVEN["dh"]}
    d["da"] = d["dh"] * (1 - h**2)
    d["dshift"] = d["da"].sum(0)
    d["dgain"] = GIVEN["dgain"]
    with pytest.raises(AssertionError) as failed:
        check_intermediates(forward, d, *PARAMETERS)
    said = str(failed.value)
    assert said.startswith("dh is not ∂forward/∂h, given those before it\n")
    assert "  it is 2 times what it should be\n  right before it: dlogits\n" in said
    assert said.endswith("later, each given those before it: da right, dshift right, dgain wrong")


def forward_a():
    pre = C[TOKENS].reshape(N, -1) @ W1
    centred = pre - pre.mean(0)
    return GAIN * centred * ((centred**2).sum(0) / (N - 1) + 1e-5) ** -0.5 + SHIFT


def test_arrays_of_the_module_and_of_closures_are_followed():
    def of_the_module():
        pre = C[TOKENS].reshape(N, -1) @ W1
        out = np.tanh(pre)
        return out.sum()

    dout = np.ones((N, HIDDEN))
    dpre = 1 - np.tanh(C[TOKENS].reshape(N, -1) @ W1) ** 2
    check_intermediates(of_the_module, {"dout": dout, "dpre": dpre})
    with pytest.raises(AssertionError, match="dpre is not"):
        check_intermediates(of_the_module, {"dout": dout, "dpre": -dpre})
    scale = np.full(HIDDEN, 0.5)

    def of_a_closure(w):
        z = w * scale
        return (z**2).sum()

    check_intermediates(of_a_closure, {"dz": 2 * GAIN * scale, "dw": 2 * GAIN * scale**2}, GAIN)
    assert scale.tolist() == [0.5] * HIDDEN


def test_of_jax_and_in_float32():
    def loss(w):
        z = jnp.tanh(w)
        return jnp.sum(z**2)

    z = np.tanh(GAIN)
    check_intermediates(loss, {"dz": 2 * z, "dw": 2 * z * (1 - z**2)}, GAIN)
    small = np.tanh(GAIN.astype(np.float32))
    check_intermediates(loss, {"z": 2 * small, "w": 2 * small * (1 - small**2)}, GAIN.astype(np.float32))
    with pytest.raises(AssertionError, match="w is not ∂loss/∂w, given those before it"):
        check_intermediates(loss, {"z": 2 * small, "w": 2 * small * (1 - small)}, GAIN.astype(np.float32))


def test_wrong_uses_are_said():
    with pytest.raises(TypeError, match=re.escape("the gradient 'dq' is by a variable 'q', and the function has none")):
        check_intermediates(forward, {"dq": B2}, *PARAMETERS)
    with pytest.raises(
        AssertionError, match=r"db2 has shape \(6, 4\), and b2 has shape \(4,\): its sum over axis 0 is that"
    ):
        check_intermediates(forward, {"dlogits": GIVEN["dlogits"], "db2": GIVEN["dlogits"]}, *PARAMETERS)
    with pytest.raises(TypeError, match="a loss is one number"):
        check_intermediates(lambda w: w * 2, {"dw": B2}, B2)
    with pytest.raises(TypeError, match=r"^`forward` must be a function, got dict: the function comes before"):
        check_intermediates({"db2": B2}, forward, *PARAMETERS)
    with pytest.raises(TypeError, match=r"^`gradients` must be a dict of arrays, as .* got ndarray$"):
        check_intermediates(forward, B2, *PARAMETERS)
    with pytest.raises(TypeError, match=r"^`w` holds whole numbers \(int64\), .*make it w\.astype\(float\)$"):
        check_intermediates(lambda w: np.sum(w**2), {"dw": np.zeros(3)}, np.arange(3))


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 1, 3)])
def test_an_entry_is_named_by_its_index_in_the_array(shape):
    w = np.random.default_rng(0).uniform(1, 2, shape)
    for index in np.ndindex(*shape):
        wrong = np.array(2 * w)
        wrong[index] += 0.5
        with pytest.raises(AssertionError) as failed:
            check_intermediates(lambda w: np.sum(w**2), {"dw": wrong}, w)
        entry = f"dw[{', '.join(map(str, index))}]" if index else "dw"
        assert f"\n  in {entry}\n" in str(failed.value)


def test_a_loss_that_draws_cannot_be_judged():
    def loss(w):
        z = w + np.random.normal(size=w.shape)  # noqa: NPY002 (as users write it)
        return np.sum(z**2)

    with pytest.raises(UndecidedError, match=r"loss returns something else .* draws numbers at test_intermediates\.py:\d+"):
        check_intermediates(loss, {"dz": 2 * GAIN}, GAIN)


def scores_loss(z, y):
    most = z.max(axis=1, keepdims=True)
    shifted = z - most
    counts = np.exp(shifted)
    over = counts.sum(axis=1, keepdims=True) ** -1
    probs = counts * over
    return -np.log(probs)[range(len(y)), y].mean()


@pytest.mark.parametrize("seed", range(6))
def test_what_cancels_but_for_the_rounding_of_those_before_it_is_no_mistake(seed):
    rng = np.random.default_rng(seed)
    z = 3 * rng.standard_normal((8, 5))
    y = z.argmax(axis=1)
    counts = np.exp(z - z.max(axis=1, keepdims=True))
    over = counts.sum(axis=1, keepdims=True) ** -1
    probs = counts * over
    d = {"dprobs": np.zeros_like(probs)}
    d["dprobs"][range(8), y] = -1 / 8 / probs[range(8), y]
    d["dover"] = (d["dprobs"] * counts).sum(axis=1, keepdims=True)
    d["dcounts"] = d["dprobs"] * over - over**2 * d["dover"]
    d["dshifted"] = counts * d["dcounts"]
    d["dz"] = d["dshifted"]  # a shift of the scores is 0 to the loss: nothing comes by the largest of them
    check_intermediates(scores_loss, d, z, y)
    planted = {**d, "dz": d["dshifted"] * (1 + 1e-9)}
    with pytest.raises(AssertionError, match=r"(?s)dz is not .*right before it: dprobs, dover, dcounts, dshifted"):
        check_intermediates(scores_loss, planted, z, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_in_float64_may_be_made_of_float32(dtype):
    """The product is rounded to float32; NumPy's square root is an np.float64, and so is all that follows"""
    rng = np.random.default_rng(0)
    x, w, t = (rng.standard_normal(shape).astype(dtype) for shape in [(5, 3), (3, 4), (5, 4)])

    def loss(w):
        z = x @ w / np.sqrt(3)
        e = np.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        return (p * t).sum()

    z = x @ w / np.sqrt(3)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = p * (t - (t * p).sum(axis=1, keepdims=True))
    assert dz.dtype == np.float64
    check_intermediates(loss, {"dp": t, "dz": dz, "dw": x.T @ dz / np.sqrt(3)}, w)
    with pytest.raises(AssertionError, match="dz is not"):
        check_intermediates(loss, {"dp": t, "dz": 1.001 * dz}, w)
    with pytest.raises(AssertionError, match=r"dw is not (?s:.*)it is 1\.732051 times what it should be"):
        check_intermediates(loss, {"dp": t, "dz": dz, "dw": x.T @ dz}, w)


@pytest.mark.parametrize(
    ("of_data", "of_weights"), [(np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float64)]
)
def test_what_is_computed_in_float64_is_held_to_it_whatever_the_data_are(of_data, of_weights):
    rng = np.random.default_rng(1)
    x, w, t = rng.standard_normal((6, 3)).astype(of_data), rng.standard_normal(3).astype(of_weights), rng.standard_normal(6)

    def loss(w):
        z = x @ w
        r = z - t
        return np.mean(r**2)

    r = x @ w - t
    dr = 2 * r / 6
    given = {"dr": dr, "dz": dr, "dw": x.T @ dr}
    check_intermediates(loss, given, w)
    for key in given:
        with pytest.raises(UndecidedError, match=rf"^nothing can be said of {key}\b.*Hand in all data in float64"):
            check_intermediates(loss, {**given, key: given[key] * (1 + 1e-10)}, w)
        with pytest.raises(AssertionError, match=rf"^{key} is not "):
            check_intermediates(loss, {**given, key: given[key] * 2}, w)
    by_normal_equations = 2 / 6 * (x.T @ x @ w - x.T @ t)  # a right gradient, of which a step is rounded as the data are
    if of_data == np.float64:
        check_intermediates(loss, {"dw": by_normal_equations}, w)
    else:
        with pytest.raises(UndecidedError, match=r"^nothing can be said of dw "):
            check_intermediates(loss, {"dw": by_normal_equations}, w)


def test_what_is_computed_in_float32_is_held_to_that():
    x, w = np.random.default_rng(2).standard_normal((6, 3)).astype(np.float32), np.array([0.3, -0.7, 0.2], dtype=np.float32)

    def loss(w):
        z = x @ w
        wide = z.astype(np.float64)
        return np.sum(wide**2)

    dwide = 2 * (x @ w).astype(np.float64)
    check_intermediates(loss, {"dwide": dwide, "dz": dwide, "dw": x.T @ dwide}, w)


POOLED = np.array([[0.5, -1.0, -2.0, -0.25], [1.5, 2.0, -1.0, -0.5]])


def pooled(z):
    """The second window holds four zeros."""
    a = np.maximum(z, 0)
    p = a.reshape(1, 2, 2, 2).max(axis=(1, 3))
    return np.sum(p**2 + p)


def pooled_gradients(z, at_zeros=1.0):
    a = np.maximum(z, 0)
    p = a.reshape(1, 2, 2, 2).max(axis=(1, 3))
    dp, da = 2 * p + 1, np.zeros_like(a)
    for j in range(2):
        window = a[:, 2 * j : 2 * j + 2]
        da[:, 2 * j : 2 * j + 2] = (window == window.max()) * dp[0, j]
    da[:, 2:] *= at_zeros
    return {"dp": dp, "da": da, "dz": da * (z > 0)}


@pytest.mark.parametrize("at_zeros", [0.0, 0.25, 1.0])
def test_where_zeros_are_pooled_any_derivative_between_those_of_either_side_is_right(at_zeros):
    check_intermediates(pooled, pooled_gradients(POOLED, at_zeros), POOLED)
    wrong = pooled_gradients(POOLED, at_zeros)
    wrong["da"][1, 1] *= 1 + 1e-9
    with pytest.raises(AssertionError, match="da is not"):
        check_intermediates(pooled, wrong, POOLED)


@pytest.mark.parametrize("at_zeros", [-1.0, 2.0])
def test_where_zeros_are_pooled_others_are_wrong(at_zeros):
    with pytest.raises(AssertionError, match="da is not"):
        check_intermediates(pooled, pooled_gradients(POOLED, at_zeros), POOLED)
