"""Ten derivations, and the mistakes that people make in them."""

from manual_grad import bits, nonnegatives, positives, reals, signs, simplex
from steps.derivation import Base, Mistake

LOGISTIC = Base(
    "logistic regression with a penalty",
    "w, x, y, c",
    {
        "loss(w, x, y, c)": "-jnp.sum(log_sigmoid(y * score(w, x))) + c / 2 * square(w)",
        "score(w, x)": "x @ w",
        "square(w)": "w @ w",
    },
    (reals("d"), reals("n", "d"), signs("n"), positives()),
    "{outer} @ {inner} + {penalty}",
    {
        "outer": "-(y * (1 - sigmoid(y * score(w, x))))",
        "inner": "nabla(score)(w, x)",
        "penalty": "c / 2 * nabla(square)(w)",
    },
    (
        ("inner", "x"),
        ("penalty", "c / 2 * (2 * w)"),
        ("penalty", "c * w"),
        ("outer", "-(y * sigmoid(-y * score(w, x)))"),
        ("outer", "-(y / (1 + jnp.exp(y * score(w, x))))"),
        ("outer", "-(y / (1 + jnp.exp(y * (x @ w))))"),
    ),
    (
        Mistake("factor", {4: "c / 2 * w"}),
        Mistake("power rule", {3: "c / 2 * w", 4: "c / 2 * w"}),
        Mistake("sign", {4: "-c * w"}),
        Mistake(
            "sign inside a function",
            {
                5: "-(y * sigmoid(y * score(w, x)))",
                6: "-(y / (1 + jnp.exp(-y * score(w, x))))",
                7: "-(y / (1 + jnp.exp(-y * (x @ w))))",
            },
        ),
        Mistake(
            "sign inside a function", {6: "-(y / (1 + jnp.exp(-y * score(w, x))))", 7: "-(y / (1 + jnp.exp(-y * (x @ w))))"}
        ),
    ),
)

SOFTMAX = Base(
    "softmax with cross-entropy",
    "z, y",
    {"loss(z, y)": "-y @ jnp.log(p(z))", "p(z)": "jnp.exp(z) / jnp.sum(jnp.exp(z))"},
    (reals("k"), simplex("k")),
    "-({own} - {shared})",
    {"own": "(y / p(z)) @ (nabla(p)(z) + jnp.outer(p(z), p(z)))", "shared": "(y / p(z)) @ jnp.outer(p(z), p(z))"},
    (
        ("own", "(y / p(z)) @ jnp.diag(p(z))"),
        ("own", "y / p(z) * p(z)"),
        ("own", "y"),
        ("shared", "jnp.sum(y / p(z) * p(z)) * p(z)"),
        ("shared", "jnp.sum(y) * p(z)"),
        ("shared", "p(z)"),
    ),
    (
        Mistake("lost Jacobian", {2: "(y / p(z)) @ jnp.eye(len(z))", 3: "y / p(z)", 4: "y / p(z)"}),
        Mistake("cancelled wrongly", {4: "y * p(z)"}),
        Mistake(
            "order of factors",
            {5: "jnp.sum(y / p(z)) * p(z) * p(z)", 6: "jnp.sum(y / p(z)) * p(z) ** 2", 7: "jnp.sum(y / p(z)) * p(z) ** 2"},
        ),
        Mistake("sum over the wrong thing", {6: "len(z) * jnp.sum(y) * p(z)", 7: "len(z) * p(z)"}),
        Mistake("sum to mean", {6: "jnp.mean(y) * p(z)", 7: "p(z) / len(z)"}),
    ),
)

NETWORK = Base(
    "two layers with tanh",
    "w, v, x, t",
    {
        "loss(w, v, x, t)": "jnp.sum((output(w, v, x) - t) ** 2) / 2",
        "output(w, v, x)": "v * hidden(w, x)",
        "hidden(w, x)": "jnp.tanh(first(w, x))",
        "first(w, x)": "x @ w",
    },
    (reals("d"), reals(), reals("n", "d"), reals("n")),
    "({error} * {slope}) @ {inner}",
    {"error": "(output(w, v, x) - t)", "slope": "v", "inner": "nabla(hidden)(w, x)"},
    (
        ("inner", "((1 - jnp.tanh(first(w, x)) ** 2)[:, None] * nabla(first)(w, x))"),
        ("inner", "((1 - jnp.tanh(first(w, x)) ** 2)[:, None] * x)"),
        ("inner", "((1 - hidden(w, x) ** 2)[:, None] * x)"),
        ("error", "(v * hidden(w, x) - t)"),
        ("inner", "(((1 - hidden(w, x)) * (1 + hidden(w, x)))[:, None] * x)"),
        ("error", "(hidden(w, x) * v - t)"),
    ),
    (
        Mistake(
            "slope of the function",
            {
                2: "((1 - jnp.tanh(first(w, x)))[:, None] * nabla(first)(w, x))",
                3: "((1 - jnp.tanh(first(w, x)))[:, None] * x)",
                4: "((1 - hidden(w, x))[:, None] * x)",
                6: "((1 - hidden(w, x))[:, None] * x)",
            },
        ),
        Mistake(
            "slope at the wrong place",
            {
                4: "((1 - output(w, v, x) ** 2)[:, None] * x)",
                6: "(((1 - output(w, v, x)) * (1 + output(w, v, x)))[:, None] * x)",
            },
        ),
        Mistake("lost factor", {5: "(hidden(w, x) - t)", 7: "(hidden(w, x) - t)"}),
        Mistake("sign", {5: "(t - v * hidden(w, x))", 7: "(t - hidden(w, x) * v)"}),
        Mistake("difference of squares", {6: "(((1 - hidden(w, x)) ** 2)[:, None] * x)"}),
    ),
)

GAUSSIAN = Base(
    "log-likelihood of a normal distribution by log σ",
    "s, m, x",
    {"ll(s, m, x)": "-len(x) * s - jnp.sum(z(s, m, x) ** 2) / 2", "z(s, m, x)": "(x - m) * jnp.exp(-s)"},
    (reals(), reals(), reals("n")),
    "{count} + {fit}",
    {"count": "-len(x) * 1.0", "fit": "-z(s, m, x) @ nabla(z)(s, m, x)"},
    (
        ("fit", "-z(s, m, x) @ ((x - m) * -jnp.exp(-s))"),
        ("fit", "z(s, m, x) @ ((x - m) * jnp.exp(-s))"),
        ("fit", "z(s, m, x) @ z(s, m, x)"),
        ("fit", "jnp.sum(z(s, m, x) ** 2)"),
        ("fit", "jnp.sum((x - m) ** 2 * jnp.exp(-s) ** 2)"),
        ("fit", "jnp.sum((x - m) ** 2) * jnp.exp(-2 * s)"),
    ),
    (
        Mistake(
            "chain rule",
            {
                2: "-z(s, m, x) @ ((x - m) * jnp.exp(-s))",
                3: "-z(s, m, x) @ z(s, m, x)",
                4: "-z(s, m, x) @ z(s, m, x)",
                5: "-jnp.sum(z(s, m, x) ** 2)",
                6: "-jnp.sum((x - m) ** 2 * jnp.exp(-s) ** 2)",
                7: "-jnp.sum((x - m) ** 2) * jnp.exp(-2 * s)",
            },
        ),
        Mistake(
            "square of a sum",
            {
                5: "jnp.sum(z(s, m, x)) ** 2",
                6: "jnp.sum((x - m) * jnp.exp(-s)) ** 2",
                7: "jnp.sum(x - m) ** 2 * jnp.exp(-2 * s)",
            },
        ),
        Mistake("power", {6: "jnp.sum((x - m) ** 2 * jnp.exp(-s))", 7: "jnp.sum((x - m) ** 2) * jnp.exp(-s)"}),
        Mistake("power", {7: "jnp.sum((x - m) ** 2) * jnp.exp(-s**2)"}),
    ),
)

RIDGE = Base(
    "least squares with a matrix",
    "b, a, y",
    {"loss(b, a, y)": "jnp.sum(r(b, a, y) ** 2) / len(y)", "r(b, a, y)": "a @ b - y"},
    (reals("d"), reals("n", "d"), reals("n")),
    "{factor} * ({first} - {second})",
    {
        "factor": "2 / len(y)",
        "first": "(r(b, a, y) @ nabla(r)(b, a, y) + y @ nabla(r)(b, a, y))",
        "second": "y @ nabla(r)(b, a, y)",
    },
    (
        ("first", "((r(b, a, y) + y) @ nabla(r)(b, a, y))"),
        ("first", "((r(b, a, y) + y) @ a)"),
        ("second", "y @ a"),
        ("first", "((a @ b) @ a)"),
        ("first", "(a.T @ a @ b)"),
        ("second", "a.T @ y"),
    ),
    (
        Mistake("sign", {5: "((a @ b + 2 * y) @ a)", 6: "(a.T @ (a @ b + 2 * y))"}),
        Mistake("lost factor", {5: "(b @ a.T @ a / 2)", 6: "(a.T @ a @ b / 2)"}),
        Mistake("entries squared", {6: "((a**2).T @ a @ b)"}),
        Mistake("diagonal only", {6: "(jnp.sum(a**2, axis=0) * b)"}),
        Mistake("sum to mean", {7: "a.T @ y / len(y)"}),
    ),
)

THROUGH_TIME = Base(
    "two steps of a recurrent unit",
    "w, u, x",
    {
        "out(w, u, x)": "w * h1(w, u, x) + u * x[1]",
        "h1(w, u, x)": "jnp.tanh(w * u * x[0])",
    },
    (reals(), reals(), reals(2)),
    "{direct} + {earlier}",
    {"direct": "(nabla(out)(w, u, x) - w * nabla(h1)(w, u, x))", "earlier": "w * nabla(h1)(w, u, x)"},
    (
        ("direct", "h1(w, u, x)"),
        ("earlier", "w * (1 - jnp.tanh(w * u * x[0]) ** 2) * (u * x[0])"),
        ("earlier", "w * (1 - h1(w, u, x) ** 2) * (u * x[0])"),
        ("direct", "jnp.tanh(w * u * x[0])"),
        ("earlier", "w * (1 - h1(w, u, x) ** 2) * u * x[0]"),
        ("earlier", "w * u * x[0] * (1 - h1(w, u, x) ** 2)"),
    ),
    (
        Mistake("lost path", {3: "0.0", 4: "0.0", 6: "0.0", 7: "0.0"}),
        Mistake(
            "lost inner factor",
            {
                3: "w * (1 - jnp.tanh(w * u * x[0]) ** 2) * u",
                4: "w * (1 - h1(w, u, x) ** 2) * u",
                6: "w * (1 - h1(w, u, x) ** 2) * u",
                7: "w * u * (1 - h1(w, u, x) ** 2)",
            },
        ),
        Mistake(
            "differentiated by another variable",
            {
                3: "w * (1 - jnp.tanh(w * u * x[0]) ** 2) * (w * x[0])",
                4: "w * (1 - h1(w, u, x) ** 2) * (w * x[0])",
                6: "w * (1 - h1(w, u, x) ** 2) * w * x[0]",
                7: "w * w * x[0] * (1 - h1(w, u, x) ** 2)",
            },
        ),
        Mistake("index", {7: "w * u * x[1] * (1 - h1(w, u, x) ** 2)"}),
    ),
)

COSINE = Base(
    "cosine of two vectors",
    "a, b",
    {"cosine(a, b)": "dot(a, b) / (size(a) * size(b))", "dot(a, b)": "a @ b", "size(a)": "jnp.sqrt(a @ a)"},
    (positives("d"), positives("d")),
    "{first} - {second}",
    {
        "first": "nabla(dot)(a, b) / (size(a) * size(b))",
        "second": "dot(a, b) * nabla(size)(a) / (size(a) ** 2 * size(b))",
    },
    (
        ("first", "b / (size(a) * size(b))"),
        ("second", "dot(a, b) * (a / size(a)) / (size(a) ** 2 * size(b))"),
        ("second", "dot(a, b) * a / (size(a) ** 3 * size(b))"),
        ("second", "dot(a, b) / (size(a) * size(b)) * a / size(a) ** 2"),
        ("second", "cosine(a, b) * a / size(a) ** 2"),
        ("second", "cosine(a, b) * a / (a @ a)"),
    ),
    (
        Mistake("wrong variable", {2: "a / (size(a) * size(b))"}),
        Mistake(
            "chain rule",
            {
                3: "dot(a, b) * (2 * a / size(a)) / (size(a) ** 2 * size(b))",
                4: "2 * dot(a, b) * a / (size(a) ** 3 * size(b))",
                5: "2 * dot(a, b) / (size(a) * size(b)) * a / size(a) ** 2",
                6: "2 * cosine(a, b) * a / size(a) ** 2",
                7: "2 * cosine(a, b) * a / (a @ a)",
            },
        ),
        Mistake(
            "power",
            {
                4: "dot(a, b) * a / (size(a) ** 2 * size(b))",
                5: "dot(a, b) / (size(a) * size(b)) * a / size(a)",
                6: "cosine(a, b) * a / size(a)",
                7: "cosine(a, b) * a / jnp.sqrt(a @ a)",
            },
        ),
        Mistake("root", {7: "cosine(a, b) * a / jnp.sqrt(a @ a)"}),
    ),
)

POISSON = Base(
    "Poisson regression",
    "w, x, k",
    {"ll(w, x, k)": "jnp.sum(k * jnp.log(rate(w, x)) - rate(w, x))", "rate(w, x)": "jnp.exp(x @ w)"},
    (reals("d"), reals("n", "d"), nonnegatives("n")),
    "{data} - {model}",
    {"data": "(k / rate(w, x)) @ nabla(rate)(w, x)", "model": "jnp.ones(len(k)) @ nabla(rate)(w, x)"},
    (
        ("data", "(k / rate(w, x)) @ (rate(w, x)[:, None] * x)"),
        ("data", "(k / rate(w, x) * rate(w, x)) @ x"),
        ("data", "k @ x"),
        ("model", "jnp.ones(len(k)) @ (rate(w, x)[:, None] * x)"),
        ("model", "rate(w, x) @ x"),
        ("model", "x.T @ rate(w, x)"),
        ("data", "x.T @ k"),
    ),
    (
        Mistake(
            "lost factor",
            {2: "(k / rate(w, x)) @ x", 3: "(k / rate(w, x)) @ x", 4: "(k / rate(w, x)) @ x", 8: "x.T @ (k / rate(w, x))"},
        ),
        Mistake("cancelled wrongly", {4: "(k * rate(w, x)) @ x", 8: "x.T @ (k * rate(w, x))"}),
        Mistake("lost factor", {5: "jnp.ones(len(k)) @ x", 6: "jnp.sum(x, axis=0)", 7: "x.T @ jnp.ones(len(k))"}),
        Mistake(
            "sum of a product",
            {6: "jnp.sum(rate(w, x)) * jnp.sum(x, axis=0)", 7: "x.T @ jnp.ones(len(k)) * jnp.sum(rate(w, x))"},
        ),
        Mistake("sum to mean", {7: "x.T @ rate(w, x) / len(k)"}),
    ),
)

BERNOULLI = Base(
    "cross-entropy of a sigmoid",
    "z, t",
    {
        "loss(z, t)": "-jnp.sum(t * jnp.log(p(z)) + (1 - t) * jnp.log(1 - p(z)))",
        "p(z)": "1 / (1 + jnp.exp(-z))",
    },
    (reals("n"), bits("n")),
    "-({hit} - {miss})",
    {"hit": "t / p(z) * jnp.diagonal(nabla(p)(z))", "miss": "(1 - t) / (1 - p(z)) * jnp.diagonal(nabla(p)(z))"},
    (
        ("hit", "t / p(z) * (p(z) * (1 - p(z)))"),
        ("hit", "t * (1 - p(z))"),
        ("miss", "(1 - t) / (1 - p(z)) * (p(z) * (1 - p(z)))"),
        ("miss", "(1 - t) * p(z)"),
        ("hit", "(t - t * p(z))"),
        ("miss", "(p(z) - t * p(z))"),
    ),
    (
        Mistake("sign", {2: "t / p(z) * (p(z) * (1 + p(z)))", 3: "t * (1 + p(z))", 6: "(t + t * p(z))"}),
        Mistake("cancelled wrongly", {3: "t * p(z)", 6: "t * p(z)"}),
        Mistake("cancelled wrongly", {5: "(1 - t) * (1 - p(z))", 7: "(1 - t - p(z) + t * p(z))"}),
        Mistake("a bracket", {6: "(t - p(z))"}),
        Mistake("sign in a bracket", {7: "(p(z) + t * p(z))"}),
    ),
)

KL = Base(
    "divergence of two normal distributions by a mean and a log-width",
    "v, m",
    {
        "kl(v, m)": "jnp.sum(-v[1] + (jnp.exp(2 * v[1]) + (v[0] - m) ** 2) / 2) - 0.5",
        "width(v)": "jnp.exp(2 * v[1]) / 2",
    },
    (reals(2), reals()),
    "jnp.stack([{mean}, {entropy} + {spread}])",
    {
        "mean": "jnp.sum((v[0] - m) * 2) / 2",
        "entropy": "-nabla(lambda v: v[1])(v)[1]",
        "spread": "nabla(width)(v)[1]",
    },
    (
        ("mean", "v[0] - m"),
        ("entropy", "-1"),
        ("spread", "2 * jnp.exp(2 * v[1]) / 2"),
        ("spread", "jnp.exp(2 * v[1])"),
        ("spread", "jnp.exp(v[1]) ** 2"),
    ),
    (
        Mistake("sign", {2: "m - v[0]"}),
        Mistake("factor", {2: "2 * (v[0] - m)"}),
        Mistake("sign", {3: "1"}),
        Mistake(
            "chain rule",
            {4: "jnp.exp(2 * v[1]) / 2", 5: "jnp.exp(2 * v[1]) / 2", 6: "jnp.exp(v[1]) ** 2 / 2"},
        ),
        Mistake("power", {6: "jnp.exp(v[1] ** 2)"}),
    ),
)

BASES = (LOGISTIC, SOFTMAX, NETWORK, GAUSSIAN, RIDGE, THROUGH_TIME, COSINE, POISSON, BERNOULLI, KL)
