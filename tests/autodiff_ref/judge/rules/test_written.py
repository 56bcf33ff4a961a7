"""What is typed and what is found: domains as text, annotations, probing, the catalogue and the command."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Array, Float
from typer.testing import CliRunner

import manual_grad.domains
from autodiff_ref import judge_rule
from autodiff_ref.cli.app import app
from autodiff_ref.judge.rules.catalogue import catalogue, rows_of
from autodiff_ref.judge.rules.findings import Entry, RuleReport
from autodiff_ref.judge.rules.hints import annotated
from autodiff_ref.judge.rules.judging import said
from autodiff_ref.judge.rules.library import failed, judge_all
from autodiff_ref.judge.rules.probing import batches, probed
from autodiff_ref.judge.rules.written import CONSTRUCTORS, domain_of, inputs_of
from manual_grad import intervals, positives, reals
from manual_grad.domains import classes, nonnegatives, positive_definite

FILE = """
import jax, jax.numpy as jnp

@jax.custom_jvp
def cube(x):
    return x**3

@cube.defjvp
def cube_rule(primals, tangents):
    (x,), (d,) = primals, tangents
    return cube(x), {slope} * d

def layer(w, x):
    return jnp.sum(cube(w * x))

def plain(x):
    return x * x
"""


def test_domains_are_read_without_running_anything():
    assert domain_of("reals('n', 3)") == (reals("n", 3),)
    assert domain_of("(reals(n), intervals(-1., 0.5))") == (reals("n"), intervals(-1.0, 0.5))
    for text in (
        "__import__('os')",
        "reals.__class__",
        "reals(open('x'))",
        "reals(",
        "[x for x in (1,)]",
        "reals(*n)",
        "{'w': 3}",
        "[x]",
    ):
        with pytest.raises(ValueError, match="domain"):
            domain_of(text)
    assert all(hasattr(manual_grad.domains, name) for name in CONSTRUCTORS)


def test_inputs_are_literals():
    assert inputs_of("[0., (1, [2., 3.])]") == [0.0, (1, [2.0, 3.0])]
    for text in ("open('x')", "3", "[x]"):
        with pytest.raises(ValueError, match="inputs"):
            inputs_of(text)


def test_every_row_of_the_catalogue_is_a_call_with_domains():
    assert len(catalogue()) > 1200
    assert len({row.text for row in catalogue()}) == len(catalogue())
    for row in catalogue():
        assert row.expression.domain
        assert row.expression.callee


def test_what_a_row_claims():
    text = "f.g(reals())  within 1e-9  # measured\n# a remark\n\nf.h(reals(), 2.)  meant so: scales\nf.k(reals())\n"
    within, meant, plain = rows_of(text)
    assert (within.text, within.within, within.intent) == ("f.g(reals())", 1e-9, "")
    assert (meant.text, meant.within, meant.intent) == ("f.h(reals(), 2.)", None, "scales")
    assert (plain.within, plain.intent) == (None, "")
    with pytest.raises(ValueError, match="neither"):
        list(rows_of("f.g(reals())  exactly"))


def turned(q, v):
    """A vector turned by a quaternion."""
    w, x, y, z = q
    axis = jnp.stack([x, y, z])
    return v + 2 * jnp.cross(axis, jnp.cross(axis, v) + w * v)


OF_SOME_SIZES = {
    "a point of the plane": (lambda p: (lambda x, y: x * y)(*p), (2,)),
    "a quaternion": (lambda q: (lambda w, x, y, z: w * x + y * z)(*q), (4,)),
    "two quaternions": (lambda p, q: (lambda w, x, y, z: jnp.stack([w, x, y, z]) @ q)(*p), (4, 4)),
    "a quaternion and a vector": (turned, (4, 3)),
    "a vector and a quaternion": (lambda v, q: turned(q, v), (3, 4)),
}


@pytest.mark.parametrize("name", OF_SOME_SIZES)
def test_small_vectors_of_fixed_sizes_are_found_by_trying(name):
    f, sizes = OF_SOME_SIZES[name]
    assert probed(f) == tuple(reals(size) for size in sizes)


def test_domains_by_annotations_and_by_probing():
    def annotated_one(w: Float[Array, "n d"], x: Float[Array, " d"]):
        return w @ x

    assert annotated(annotated_one) == (reals("n", "d"), reals("d"))
    assert annotated(lambda x: x) is None
    assert probed(lambda x: x * x) == (reals(),)
    assert probed(jnp.log) == (positives(),)
    assert probed(lambda x: jnp.log(x) + jnp.log(1 - x)) == (intervals(0.0, 1.0),)
    assert probed(jax.nn.softmax) == (reals("n"),)
    assert probed(jnp.sqrt) == (nonnegatives(),)
    assert probed(jnp.arcsin) == (intervals(-1.0, 1.0, closed=True),)
    assert probed(lambda x: jnp.sqrt(x) / (1 - x) ** 0.5) == (intervals(0.0, 1.0),)
    assert probed(jnp.linalg.det) == (reals("n", "n"),)
    assert probed(jnp.linalg.cholesky) == (positive_definite("n"),)
    assert probed(lambda x, k: jnp.sin(x[k])) == (reals("n"), classes("n"))
    assert probed(lambda x: "no number") is None
    with pytest.raises(ValueError, match="pass domain="):
        judge_rule(lambda x: "no number")


def layer(by_x=lambda w, x, g: g @ w.T, by_w=lambda w, x, g: x.T @ g, by_b=lambda g: g.sum(axis=0)):
    """x w + b, written so that it takes numbers too."""
    made = jax.custom_vjp(lambda x, w, b: jnp.dot(x, w) + b)

    def backward(kept, g):
        x, w = kept
        return by_x(w, x, g), by_w(w, x, g), by_b(g)

    made.defvjp(lambda x, w, b: (made(x, w, b), (x, w)), backward)
    return made


@given(
    st.sampled_from([jnp.dot, lambda x, w: jnp.dot(x, w.T)]),
    st.lists(st.sampled_from(["added", "scaled"]), max_size=2, unique=True),
)
def test_a_product_of_matrices_is_tried_with_matrices(product, beside):
    """Numbers, which such a function takes as well, tell nothing of a transpose."""
    f = {
        (): product,
        ("added",): lambda x, w, b: product(x, w) + b,
        ("scaled",): lambda x, w, s: product(x, w) * s,
        ("added", "scaled"): lambda x, w, b, s: jnp.tanh(product(x, w) + b) * s,
        ("scaled", "added"): lambda x, w, s, b: product(x, w) * s + b,
    }[tuple(beside)]
    second = ("m", "k") if product is jnp.dot else ("k", "m")
    assert probed(f) == (reals("n", "m"), reals(*second), *(reals("k"),) * len(beside))


@pytest.mark.parametrize(
    ("f", "dims"),
    [(lambda x, y: x * y, ()), (jnp.outer, ("n",)), (lambda x, y: jnp.linalg.norm(x) * jnp.linalg.norm(y), ("n",))],
)
def test_what_takes_matrices_of_any_shapes_multiplies_none(f, dims):
    assert probed(f) == (reals(*dims), reals(*dims))


def test_an_attention_is_tried_with_matrices_of_values():
    def attention(q, k, v, mask):
        return jax.nn.softmax(jnp.where(mask > 0, q @ k.T, -jnp.inf)) @ v / jnp.ones((len(q), 1))

    assert probed(attention)[:2] == (reals("n", "m"), reals("k", "m"))


def reduced(reduce, rule):
    made = jax.custom_jvp(lambda x: reduce(x**2))
    made.defjvp(lambda primals, tangents: (made(*primals), rule(2 * primals[0] * tangents[0])))
    return made


@given(st.sampled_from([jnp.sum, jnp.mean]), st.sampled_from([jnp.sum, jnp.mean]))
@settings(deadline=None)
def test_a_mean_of_one_number_is_its_sum_so_vectors_are_tried(reduce, rule):
    f = reduced(reduce, rule)
    assert probed(f) == (reals("n"),)
    assert judge_rule(f, seconds=1).verdict == ("right" if reduce is rule else "WRONG")


def test_a_number_beside_a_vector_stays_one():
    assert probed(lambda x, scale: jnp.mean(x) * scale * (1 if scale.ndim == 0 else jnp.nan)) == (reals("n"), reals())
    assert probed(lambda x: jnp.sin(x)) == (reals(),)


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ({}, "right"),
        ({"by_x": lambda w, x, g: jnp.dot(g, w)}, "WRONG"),
        ({"by_x": lambda w, x, g: jnp.dot(g, w), "by_w": lambda w, x, g: jnp.dot(x, g)}, "WRONG"),
        ({"by_b": lambda g: g}, "raises"),
    ],
)
def test_a_rule_of_a_product_that_is_right_for_numbers_alone_is_not_right(rules, verdict):
    assert judge_rule(layer(**rules), seconds=2).verdict == verdict


@pytest.mark.parametrize("hint", [float, "float"])
def test_an_argument_that_is_said_to_be_a_number_is_tried_as_one(hint):
    """The rule is right for one temperature, and was never meant for a vector of them."""

    def softmin(x, temperature, axis=None):
        return -temperature * jax.nn.logsumexp(-x / temperature, axis=axis)

    assert probed(softmin) == (reals("n"), reals("n"))
    softmin.__annotations__ = {"x": jax.Array, "temperature": hint}
    assert probed(softmin) == (reals("n"), reals())
    softmin.__annotations__ = {"x": hint, "temperature": hint}
    assert probed(softmin) == (reals(), reals())


def test_a_constant_argument_is_no_tracer():
    def scaled(x, scale):
        return x * 2 if scale == 1 else x

    assert judge_rule(scaled, domain=(reals(), manual_grad.domains.constants(1.0))).ok


def run(tmp_path, slope, *words):
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(slope=slope))
    return CliRunner().invoke(app, ["rules", str(path), *words])


def test_the_command_judges_what_meets_a_rule(tmp_path):
    found = run(tmp_path, "3 * x**2", "--json")
    report = json.loads(found.stdout)
    assert found.exit_code == 0, found.output
    assert [each["name"] for each in report["functions"]] == ["cube", "layer"]
    assert all(each["verdict"] == "right" for each in report["functions"])


def test_the_command_shows_a_wrong_rule_with_a_program_that_shows_it(tmp_path):
    found = run(tmp_path, "3 * x")
    assert found.exit_code == 1
    assert "custom_jvp of cube" in found.stdout
    assert "mine.py:" in found.stdout
    assert "from mpmath import mp" in found.stdout


def test_the_programs_of_findings_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = json.loads(run(tmp_path, "3 * x", "--json").stdout)
    program = report["functions"][0]["findings"][0]["snippet"]
    with jax.enable_x64(True):
        exec(program.replace('jax.config.update("jax_enable_x64", True)', ""), {})
    shown = capsys.readouterr().out
    finding = report["functions"][0]["findings"][0]
    assert f"{float(finding['true']):.6g}"[:3] in shown


def test_bad_words_are_answered_by_a_sentence(tmp_path):
    for words in (["--domain", "open('x')"], ["--at", "3"]):
        found = run(tmp_path, "3 * x**2", *words)
        assert found.exit_code == 2
        assert "error:" in found.output
    assert CliRunner().invoke(app, ["rules", "no_such_module_here"]).exit_code == 2


def test_a_function_that_could_not_be_judged_is_undecided():
    report = failed(("mine.py", "f"), "its process ended")
    assert (report.verdict, report.exit_code, report.ok) == ("undecided", 3, False)


def test_all_judges_what_meets_no_rule_too(tmp_path):
    report = json.loads(run(tmp_path, "3 * x**2", "--all", "--json").stdout)
    assert [each["name"] for each in report["functions"]] == ["cube", "layer", "plain"]


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path):
    """Whole lines are kept; one that was not written to its end is judged again, and nothing is lost of the report."""
    kept = tmp_path / "rows.jsonl"
    whole = run(tmp_path, "3 * x", "--json", "--resume", str(kept)).stdout
    lines = kept.read_text().splitlines(keepends=True)
    assert len(lines) == 3  # `plain` meets no rule, which is kept as well
    told = json.loads(lines[0])
    told["report"]["verdict"] = "kept"
    kept.write_text(json.dumps(told) + "\n" + lines[1] + lines[2][:40])
    again = json.loads(run(tmp_path, "3 * x", "--json", "--resume", str(kept)).stdout)
    assert [each["verdict"] for each in again["functions"]] == ["kept", "WRONG"]
    assert [each["name"] for each in again["functions"]] == [each["name"] for each in json.loads(whole)["functions"]]


def test_a_call_is_a_target():
    found = CliRunner().invoke(app, ["rules", "jax.numpy.clip(reals(n), -1., 2.)", "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["functions"][0]["verdict"] == "right"
    assert CliRunner().invoke(app, ["rules", "jax.numpy.clip("]).exit_code == 2


def judged_here(target, name, options):
    """A judge for a process of its own: of `spoilt` nothing can be said in a process in which `spoils` was judged."""
    del options
    print("noise of", name)
    os.write(1, b"noise of compiled code\n")
    if name == "crashes":
        os._exit(1)
    if name == "spoils":
        os.environ["SPOILT"] = "yes"
    if name == "spoilt" and "SPOILT" in os.environ:
        return failed((target, name), "spoilt by another one")
    return RuleReport(name, "", 1, entries=(Entry("right", name, "∂f/∂x", "x=0"),))


def test_what_spoils_its_process_or_ends_it_costs_its_own_row_and_prints_none(capfd):
    jobs = [("m", name) for name in ("first", "spoils", "spoilt", "crashes", "last")]
    found = {job[1]: report.verdict for job, report in judge_all(jobs, judged_here, {}, workers=1) if report}
    assert found == {"first": "right", "spoils": "right", "spoilt": "right", "crashes": "undecided", "last": "right"}
    assert capfd.readouterr().out == ""


def test_what_cannot_be_called_is_not_said_to_have_no_rule_and_is_no_success(tmp_path):
    refuses = tmp_path / "refuses.py"
    refuses.write_text("def odd(a, *, key):\n    raise TypeError('no')\n")
    found = CliRunner().invoke(app, ["rules", str(refuses)])
    assert found.exit_code == 3
    assert "not judged, 1" in found.output
    assert "odd --domain" in found.output
    assert "has a rule" not in found.output
    plain = tmp_path / "plain.py"
    plain.write_text("def same(x):\n    return x\n")
    found = CliRunner().invoke(app, ["rules", str(plain)])
    assert found.exit_code == 0
    assert "no function that could be called has a rule" in found.output


NOISY = (
    FILE.format(slope="3 * x**2")
    + """
print("noise of the import")


def noisy(x):
    print("noise of the trace")
    jax.debug.print("noise of the run: {}", x)
    return cube(x)
"""
)


def test_what_other_code_prints_is_not_among_the_rows(tmp_path):
    path = tmp_path / "noisy.py"
    path.write_text(NOISY)
    found = CliRunner().invoke(app, ["rules", f"{path}:noisy"])
    assert found.exit_code == 0, found.output
    assert "noise" not in found.stdout
    assert "noise of the run" in found.stderr


def test_a_target_that_cannot_be_loaded_costs_its_own_row(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_here")
    found = run(tmp_path, "3 * x", str(broken), "no_such_module_here", "jax.numpy.clip(", "--json")
    told = json.loads(found.stdout)
    assert [each["verdict"] for each in told["functions"]] == ["WRONG", "WRONG"]
    assert list(told["not found"]) == [str(broken), "no_such_module_here", "jax.numpy.clip("]
    assert found.stderr.count("error:") == 3
    assert found.exit_code == 2


def test_a_row_that_is_not_decided_says_what_was_missing(tmp_path):
    path = tmp_path / "open.py"
    path.write_text(
        """
import jax
import jax.numpy as jnp

@jax.custom_jvp
def complex_alone(x):
    return 1j * x

@complex_alone.defjvp
def complex_alone_jvp(primals, tangents):
    return complex_alone(*primals), 1j * tangents[0]

@jax.custom_jvp
def empty(x):
    return jnp.zeros(0) * x

@empty.defjvp
def empty_jvp(primals, tangents):
    return empty(*primals), jnp.zeros(0)

def strange(x):
    raise RuntimeError("for no argument")

def silent(x):
    assert isinstance(x, str)
"""
    )
    words = [f"{path}:{name}" for name in ("complex_alone", "empty", "strange", "silent")]
    found = CliRunner().invoke(app, ["rules", *words, "--domain", "reals()"])
    rows = [line for line in found.stdout.splitlines() if line.startswith("undecided")]
    assert found.exit_code == 3
    missing = ("no real number, but complex ones", "an array of size 0", "for no argument", "AssertionError: raised at")
    assert len(rows) == len(missing)
    for row, why in zip(rows, missing, strict=True):
        assert why in row


def test_a_package_stands_for_the_rules_in_its_modules_too(tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_rules"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "_inside.py").write_text(FILE.format(slope="3 * x").replace("cube", "_cube"))
    (package / "again.py").write_text("from a_package_of_rules._inside import _cube")
    (package / "lacking.py").write_text("import no_such_module_here")
    (package / "tests" / "__init__.py").write_text("raise RuntimeError('a test is not to be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = CliRunner().invoke(app, ["rules", package.name, "--json"])
    assert [(each["name"], each["verdict"]) for each in json.loads(found.stdout)["functions"]] == [
        ("a_package_of_rules._inside._cube", "WRONG")
    ]
    assert "not imported, 1 modules of a_package_of_rules: a_package_of_rules.lacking" in found.stderr


def test_arguments_are_those_at_whose_shapes_the_rule_is_one():
    """`softmax` within the rule needs an axis, which the function itself does not."""
    f = jax.custom_jvp(lambda x: jnp.log(jnp.sum(jnp.exp(x))))
    f.defjvp(lambda primals, tangents: (f(*primals), jnp.sum(jax.nn.softmax(*primals) * tangents[0])))
    assert probed(f) == (reals("n"),)
    assert judge_rule(f).ok
    raises = jax.custom_jvp(jnp.sin)
    raises.defjvp(lambda primals, tangents: 1 / 0)
    assert probed(raises) == (reals(),)


def test_a_mistake_at_the_end_of_a_domain_that_is_found_by_trying():
    f = jax.custom_jvp(jnp.log1p)
    f.defjvp(lambda primals, tangents: (f(*primals), jnp.where(primals[0] == 0, 0.5, 1 / (1 + primals[0])) * tangents[0]))
    report = judge_rule(f)
    assert report.verdict == "WRONG"
    assert report.domain == "domain by probing: nonnegatives()"


@pytest.mark.parametrize(
    "domain", [(classes("n"), classes(4), classes("n", "k")), (positive_definite("n"), intervals(0.0, 1.0, "n"))]
)
def test_a_domain_is_said_as_one_would_write_it(domain):
    assert domain_of(said(domain)) == domain


def test_layers_are_tried_as_matrices_with_a_bias_of_the_outputs_size():
    layer = jax.custom_vjp(lambda x, w, b: x @ w + b)
    layer.defvjp(lambda *args: (layer(*args), args), lambda r, bar: (bar @ r[1].T, r[0].T @ bar, bar.sum(0)))
    assert probed(layer) == (reals("n", "m"), reals("m", "k"), reals("k"))
    assert judge_rule(layer).verdict in ("right", "accuracy")


@pytest.mark.parametrize(("name", "verdict"), [("labels", "right"), ("weights", "WRONG")])
def test_what_is_called_a_label_is_tried_as_an_integer(name, verdict):
    """A rule for labels below the number of classes is none for any number, that one_hot takes as well."""
    f = jax.custom_vjp(
        eval(f"lambda logits, {name}: loss(logits, {name})", {"loss": lambda z, y: jax.nn.logsumexp(z) - one_hot(y, z) @ z})
    )

    def one_hot(y, z):
        return jnp.asarray(y == jnp.arange(z.size), z.dtype)

    f.defvjp(
        lambda z, y: (f(z, y), (z, y)),
        lambda r, g: (g * (jax.nn.softmax(r[0]) - jax.nn.one_hot(jnp.int32(r[1]), r[0].size)), None),
    )
    assert judge_rule(f).verdict == verdict


@pytest.mark.parametrize("label", ["logits[label]", "jnp.take(logits, label)"])
def test_labels_that_nobody_gave_a_domain_are_places_in_the_vector(label):
    """Of a label beyond the classes JAX takes the last one, which the rule does not."""

    @jax.custom_jvp
    def cross_entropy(logits, label):
        return jax.nn.logsumexp(logits) - at(logits, label)

    at = eval(f"lambda logits, label: {label}", {"jnp": jnp, "jax": jax})
    cross_entropy.defjvp(
        lambda primals, tangents: (
            cross_entropy(*primals),
            (jax.nn.softmax(primals[0]) - jax.nn.one_hot(primals[1], primals[0].size)) @ tangents[0],
        )
    )
    assert judge_rule(cross_entropy, domain=(reals("n"), classes("n"))).ok
    assert judge_rule(cross_entropy).ok


BY_CUSTOM_GRADIENT = """
import jax, jax.numpy as jnp

@jax.custom_gradient
def cube(x):
    return x**3, lambda bar: bar * {slope}

def layer(x):
    return 2 * cube(x)

def scaled(x):
    @jax.custom_gradient
    def inner(y):
        return y, lambda bar: 0.5 * bar
    return inner(x)
"""


def test_what_custom_gradient_makes_is_found_by_the_name_that_its_author_gave_it(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(BY_CUSTOM_GRADIENT.format(slope="3 * x"))
    functions = json.loads(CliRunner().invoke(app, ["rules", str(path), "--json"]).stdout)["functions"]
    assert [(each["name"], each["verdict"]) for each in functions] == [
        ("cube", "WRONG"), ("layer", "WRONG"), ("scaled", "meant so"),
    ]  # fmt: skip
    for each in functions[:2]:
        assert [(rule["name"], rule["place"]) for rule in each["rules"]] == [("cube", f"{path}:4")]
        assert f"[{each['name']!r}]" in each["findings"][0]["snippet"]
    path.write_text(BY_CUSTOM_GRADIENT.format(slope="3 * x**2"))
    functions = json.loads(CliRunner().invoke(app, ["rules", str(path), "--json"]).stdout)["functions"]
    assert [each["verdict"] for each in functions] == ["right", "right", "meant so"]


def test_what_custom_gradient_makes_of_labels_and_of_a_lambda():
    @jax.custom_gradient
    def of_two(x, power):
        return x**power, lambda bar: (bar * power * x ** (power - 1), None)

    report = judge_rule(of_two, domain=(positives(), classes(4)))
    assert (report.ok, report.name) == (True, "of_two")
    with pytest.raises(ValueError, match=r"of_two takes 2 arguments \(x, power\), and the domain has 1"):
        judge_rule(of_two, domain=positives())


IN_A_CLASS = """
import functools, jax, jax.numpy as jnp

class Power:
    def __init__(self, n):
        self.n = n

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def of(self, x):
        return x**self.n

    def forward(self, x):
        return x**self.n, x

    def backward(self, x, bar):
        return (bar * self.n * x,)

    of.defvjp(forward, backward)

    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvps(lambda t, y, x: 3 * x**2 * t)
    cube = staticmethod(cube)

@jax.custom_vjp
def unfinished(x):
    return x

@jax.custom_vjp
def layer(parameters, x):
    return parameters["w"] * x

layer.defvjp(lambda p, x: (layer(p, x), (p, x)), lambda r, g: ({"w": g * r[1]}, g * r[0]["w"]))
"""


def test_rules_in_classes_are_listed_and_what_was_not_judged_says_why(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(IN_A_CLASS)
    functions = json.loads(CliRunner().invoke(app, ["rules", str(path), "--json"]).stdout)["functions"]
    why = {each["name"]: [finding["note"] for finding in each["findings"]] for each in functions}
    assert set(why) == {"Power.of", "Power.cube", "unfinished", "layer"}
    assert why["Power.cube"] == []
    assert "it stands in a class. Judge a function that calls it with an object of the class" in why["Power.of"][0]
    assert "No VJP defined for custom_vjp function unfinished" in why["unfinished"][0]
    assert "does not support string indexing" in why["layer"][0]
    assert CliRunner().invoke(app, ["rules", f"{path}:Power.cube"]).exit_code == 0
    assert CliRunner().invoke(app, ["rules", f"{path}:layer", "--domain", "{'w': reals(n)}, reals(n)"]).exit_code == 0


LAMBDAS = """
import jax, jax.numpy as jnp

held = jax.custom_jvp(lambda x: x**3)
held.defjvp(lambda primals, tangents: (held(*primals), primals[0] * tangents[0]))

pair = jax.custom_vjp(lambda x, y: x * y)
pair.defvjp(lambda x, y: (x * y, (x, y)), lambda kept, d: (d * kept[1], 2 * d * kept[0]))


def _cube(x):
    return x**3


renamed = jax.custom_jvp(_cube)
renamed.defjvp(lambda primals, tangents: (renamed(*primals), primals[0] * tangents[0]))


def layer(x):
    return held(x) + x
"""


@pytest.mark.parametrize(("target", "rule"), [("held", "held"), ("pair", "pair"), ("renamed", "_cube"), ("layer", "held")])
def test_a_function_without_a_name_of_its_own_has_that_of_its_module(tmp_path, target, rule):
    path = tmp_path / "mine.py"
    path.write_text(LAMBDAS)
    found = CliRunner().invoke(app, ["rules", f"{path}:{target}", "--json"])
    (report,) = json.loads(found.stdout)["functions"]
    assert (report["name"], report["verdict"]) == (target, "WRONG")
    assert [each["name"] for each in report["rules"]] == [rule]
    assert {each["rule"] for each in report["findings"]} <= {rule, target}
    program = report["findings"][0]["snippet"]
    assert "pasted in" not in program
    with jax.enable_x64(True):
        exec(program.replace('jax.config.update("jax_enable_x64", True)', ""), {})


@pytest.mark.parametrize("takes", [1, 2, 3])
@pytest.mark.parametrize("given", [1, 2, 3, 4])
def test_as_many_domains_as_arguments(tmp_path, takes, given):
    names = "xyz"[:takes]
    path = tmp_path / "mine.py"
    path.write_text(f"def product({', '.join(names)}):\n    return {' * '.join(names)}\n")
    found = CliRunner().invoke(app, ["rules", f"{path}:product", "--domain", ", ".join(["reals()"] * given)])
    if takes == given:
        assert found.exit_code == 0, found.output
        return
    assert found.exit_code == 2
    many = f"{takes} argument{'s' * (takes > 1)} ({', '.join(names)})"
    said = f"error: product takes {many}, and the domain has {given}: {', '.join(['reals()'] * given)}. Give one for each"
    assert said in found.stderr
    space = {}
    exec(path.read_text(), space)
    with pytest.raises(ValueError, match=rf"takes {takes} arguments? .*, and an input in at has {given}: \(1\.0,"):
        judge_rule(space["product"], at=[(1.0,) * given])


def test_an_argument_with_a_default_needs_no_domain():
    def scaled(x, scale=2.0, shift=0.0):
        return scale * x + shift

    for count in (1, 2, 3):
        assert judge_rule(scaled, domain=(reals(),) * count).ok
    with pytest.raises(ValueError, match=r"takes 3 arguments \(x, scale, shift\), and the domain has 4"):
        judge_rule(scaled, domain=(reals(),) * 4)


def _scaled(over):
    """x times a shared scale, by a rule that takes `over` of what it is to add up."""
    f = jax.custom_vjp(lambda x, scale: x * scale)

    def back(kept, bar):
        x, scale = kept
        return bar * scale, over((bar * x).reshape(-1, *scale.shape), axis=0)

    f.defvjp(lambda x, scale: (x * scale, (x, scale)), back)
    return f


def test_a_rule_that_does_not_add_up_over_a_batch_is_found_without_a_domain():
    assert judge_rule(_scaled(jnp.sum)).ok
    assert judge_rule(_scaled(jnp.mean)).verdict == "WRONG"
    assert judge_rule(_scaled(jnp.mean), domain=(reals("n"), reals("n"))).ok


def test_a_batch_is_one_where_a_function_does_the_same_with_each_of_it():
    assert [np.shape(args[0]) for args in batches(jnp.tanh, (reals(),))[0]] == [(2,)]
    assert [tuple(map(np.shape, args)) for args in batches(jnp.add, (reals("n"), reals("n")))[0]] == [
        ((2, 3), (3,)),
        ((3,), (2, 3)),
    ]
    assert batches(lambda x: jnp.log(jnp.sum(jnp.exp(x))), (reals("n"),)) == ([], [])


def test_a_rule_that_raises_where_an_argument_is_broadcast_is_noted():
    f = jax.custom_vjp(lambda x, b: x + b)
    f.defvjp(lambda x, b: (x + b, None), lambda _, bar: (bar, bar))
    report = judge_rule(f)
    assert report.verdict == "right"
    assert "at arguments of the shapes (2,), () it has values, and its derivative raises ValueError: Custom VJP" in str(
        report
    )


@pytest.mark.parametrize("rest", [(), (slice(None),)])
@pytest.mark.parametrize(("way", "verdict"), [("add", "right"), ("set", "WRONG")])
def test_places_without_a_domain_are_none_beyond_the_end_and_some_twice(way, verdict, rest):
    """JAX reads the last entry for a place beyond the end, and writes nothing there."""
    f = jax.custom_vjp(lambda table, places: table[(places, *rest)])

    def back(kept, bar):
        places, shape = kept
        return getattr(jnp.zeros(shape).at[places], way)(bar), None

    f.defvjp(lambda table, places: (f(table, places), (places, table.shape)), back)
    report = judge_rule(f)
    assert report.verdict == verdict, str(report)
