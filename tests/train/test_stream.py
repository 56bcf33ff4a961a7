"""Training from a source that is read again for every epoch: the same examples, the same moments, a bounded window."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train import Arrays, Source, fit, members, source_of, sources, stream
from autodiff_ref.train.arrow import Parquet
from autodiff_ref.train.members import available
from autodiff_ref.train.moments import Moments, Scaling

EPS32 = np.finfo(np.float32).eps


class Numbered:
    """A source whose only feature is the number of the example; pieces may be empty, and come in several matrices."""

    def __init__(self, sizes, weights=False):
        self.sizes, self.columns, self.weighted = sizes, None, weights
        self.starts = np.cumsum([0, *sizes])

    def _numbers(self, piece):
        return np.arange(self.starts[piece], self.starts[piece + 1])

    def features(self, piece):
        first, second = np.array_split(self._numbers(piece)[:, None].astype(float), 2)
        yield first
        yield second

    def labels(self, piece):
        return self._numbers(piece) % 3 == 0

    def weights(self, piece):
        return 1.0 + self._numbers(piece) if self.weighted else None


def stream_of(source, kept=None):
    n = sum(source.sizes)
    unscaled = Scaling(np.zeros(1), np.ones(1))
    y = (np.arange(n) % 3 == 0).astype(np.int8)
    c = 1 + np.arange(n, dtype=np.float64) if source.weighted else None
    return stream.Stream(source, y, 2, c, kept, unscaled, np.dtype(np.float64))


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any),
    st.integers(1, 8),
    st.integers(1, 300),
    st.integers(0, 3),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_an_epoch_is_each_example_once_in_whole_batches(sizes, batch, window, number, weighted, random):
    n = sum(sizes)
    kept = np.array([random.random() < 0.7 for _ in range(n)])
    kept[random.randrange(n)] = True
    examples = stream_of(Numbered(sizes, weighted), kept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "WINDOW", window)
        passes = examples.passes(batch, 5, "examples", 0, here=True)
    seen = []
    segments = 0
    for segment in passes.epoch(number):
        segments += 1
        x, y, *c = segment.table[:, : segment.n]
        assert segment.order is None
        assert segment.last or segment.n % batch == 0
        assert (y == np.where(x % 3 == 0, 1, -1)).all()
        assert not c or (c[0] == 1 + x).all()
        seen += x.tolist()
    assert segment.last
    assert sorted(seen) == np.flatnonzero(kept).tolist()
    assert segments == 1 or passes._tables[0].shape[1] <= passes.size + batch + max(sizes)
    again = [x for s in passes.epoch(number) for x in s.table[0, : s.n].tolist()]
    assert again == seen, "an epoch is a function of the seed and its number"


def test_epochs_differ_and_mix_examples_from_all_over():
    passes = stream_of(Numbered([16] * 64)).passes(32, 0, "examples", 0, here=True)
    one, other = ([x for s in passes.epoch(k) for x in s.table[0, : s.n].tolist()] for k in (0, 1))
    assert one != other
    assert np.std([np.mean(one[k : k + 32]) for k in range(0, 1024, 32)]) < 1024 / np.sqrt(12 * 32) * 1.5


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.sampled_from([0.0, 1e6, -1e12]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_moments_merged_part_by_part_are_those_of_all(sizes, offset, weighted, seed):
    random = np.random.default_rng(seed)
    n = sum(sizes)
    x = offset + random.standard_normal((n, 3)) * [1, 1e-3, 0]
    c = random.integers(0, 3, n).astype(float) if weighted else None
    if c is not None:
        c[0] = 1
    found = Moments.none_yet(3)
    first = 0
    for size in sizes:
        rows = slice(first, first + size)
        found.add(x[rows], None if c is None else c[rows])
        first += size
    got, mean = found.scaling(True), np.average(x, axis=0, weights=c)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=c))
    # what a mean of this size may be off, and what that makes of a deviation
    off = 32 * np.finfo(float).eps * np.abs(x).max()
    np.testing.assert_allclose(got.mean, mean, rtol=0, atol=off)
    varies = [k for k in range(3) if k not in found.constant()]
    np.testing.assert_allclose(got.scale[varies], deviation[varies], rtol=1e-9, atol=2 * off)
    assert all(deviation[k] <= off for k in found.constant())
    assert 2 in found.constant()
    assert got.mean[2] == offset


def test_a_number_that_does_not_fit_is_named_by_its_column(examples):
    x, y = examples
    x = np.hstack([x[:, :1], 1e300 * x[:, 1:2]])
    for names, said in ((None, r"^x\[:, 1\] does not fit"), (("small", "huge"), "^'huge' does not fit")):
        with pytest.raises(ValueError, match=said):
            fit(Arrays(x, y, columns=names), epochs=1, standardise=False)


@pytest.fixture
def sorted_examples(examples):
    """The worst order there is."""
    x, y = examples
    order = np.argsort(y, kind="stable")
    return x[order], y[order]


OPTIONS = {"epochs": 3, "batch_size": 16}


def test_in_the_order_they_stand_in_a_source_is_trained_on_like_its_arrays(sorted_examples, monkeypatch):
    monkeypatch.setattr(sources, "PIECE", 7)
    monkeypatch.setattr(stream, "WINDOW", 1000)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, 200)
    got = fit(Arrays(*sorted_examples, weights), shuffle="none", **OPTIONS)
    want = fit(*sorted_examples, example_weights=weights, shuffle="none", **OPTIONS)
    assert got.model.classes.tolist() == want.model.classes.tolist()
    for a, b in zip(got.model.layers, want.model.layers, strict=True):
        np.testing.assert_allclose(a.w, b.w, rtol=0, atol=256 * EPS32)
    assert [e.ll for e in got.history] == pytest.approx([e.ll for e in want.history], rel=1e-5)


def test_sorted_labels_are_learned_as_well(sorted_examples, monkeypatch):
    monkeypatch.setattr(sources, "PIECE", 8)
    monkeypatch.setattr(stream, "WINDOW", 32 * 5 * 4)
    options = {"epochs": 60, "batch_size": 16, "momentum": 0.5}
    streamed, whole = (fit(*given, **options).history[-1].ll for given in ((Arrays(*sorted_examples),), sorted_examples))
    assert streamed == pytest.approx(whole, abs=0.03)


def test_what_is_held_out_is_no_part_of_training_and_has_its_part_of_every_class(sorted_examples, monkeypatch):
    monkeypatch.setattr(sources, "PIECE", 20)
    x, y = sorted_examples
    result = fit(Arrays(x, y), validation=0.25, **OPTIONS)
    assert len(result.held_out) == 50
    share = np.mean(y[result.held_out] == "inside")
    assert share == pytest.approx(np.mean(y == "inside"), abs=0.04)
    kept = np.setdiff1d(np.arange(200), result.held_out)
    np.testing.assert_allclose(result.model.scaling.mean, x[kept].mean(axis=0), rtol=1e-12, atol=1e-14)
    assert result.model.training["examples"] == 150
    best = max(e.validation for e in result.history)
    p = result.model.probabilities(x[result.held_out])
    codes = (y[result.held_out] == result.model.classes[1]).astype(int)
    assert np.mean(np.log(p[np.arange(50), codes])) == pytest.approx(best, rel=1e-5)


def test_a_training_that_goes_on_ends_with_bitwise_the_same_weights(sorted_examples, tmp_path):
    source = Arrays(*sorted_examples)
    options = OPTIONS | {"validation": 0.2}
    whole = fit(source, **options | {"epochs": 6})
    fit(source, checkpoint=tmp_path / "run", **options | {"epochs": 3})
    resumed = fit(source, checkpoint=tmp_path / "run", resume=True, **options | {"epochs": 6})
    for a, b in zip(whole.model.layers, resumed.model.layers, strict=True):
        np.testing.assert_array_equal(a.w, b.w)
    other = Arrays(sorted_examples[0] + 1, sorted_examples[1])
    with pytest.raises(ValueError, match="data"):
        fit(other, checkpoint=tmp_path / "run", resume=True, **options | {"epochs": 9})


@pytest.fixture
def files(sorted_examples, tmp_path):
    """The same examples as .npy, label in the middle, and as .parquet, in row groups of 32."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    x, y = sorted_examples
    codes = (y == "outside").astype(float)
    np.save(tmp_path / "data.npy", np.column_stack([x[:, :2], codes, x[:, 2:]]))
    table = arrow.table({f"f{k}": x[:, k] for k in range(4)} | {"label": y, "id": np.arange(200).astype(str)})
    parquet.write_table(table, tmp_path / "data.parquet", row_group_size=32)
    return tmp_path / "data.npy", tmp_path / "data.parquet"


def test_files_are_sources(files, sorted_examples):
    npy, parquet = files
    one, other = source_of(npy, "2"), source_of(parquet, "label", leave_out=["id"])
    assert one.columns == ("0", "1", "3", "4")
    assert other.columns == ("f0", "f1", "f2", "f3")
    assert list(other.sizes) == [32] * 6 + [8]
    for source in (one, other):
        assert isinstance(source, Source)
        x = np.concatenate([part for k in range(len(source.sizes)) for part in source.features(k)])
        np.testing.assert_array_equal(x, sorted_examples[0])
    labels = np.concatenate([other.labels(k) for k in range(len(other.sizes))])
    assert labels.tolist() == sorted_examples[1].tolist()
    weighted = source_of(npy, "2", weights="0")
    np.testing.assert_array_equal(weighted.weights(0), sorted_examples[0][:, 0])
    assert weighted.columns == ("1", "3", "4")
    from_parquet = source_of(parquet, "label", leave_out=["id"], weights="f1")
    np.testing.assert_array_equal(from_parquet.weights(1), sorted_examples[0][32:64, 1])


def test_the_command_trains_on_a_file_by_pieces(files, tmp_path):
    npy, parquet = files
    runs = [
        [str(npy), "--label", "2"],
        [str(parquet), "--label", "label", "--leave-out", "id", "--validation", "0.2"],
    ]
    for run in runs:
        saved = ["--save", str(tmp_path / "model"), "--epochs", "3", "--plot", str(tmp_path / "loss.png")]
        done = CliRunner().invoke(app, ["train", *run, "--stream", *saved])
        assert done.exit_code == 0, done.output
        assert "accuracy" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch", "full"], "in memory at once"),
        (["--optimizer", "lbfgs"], "in memory at once"),
        (["--test-share", "0.2"], "a file of its own"),
    ],
)
def test_what_needs_all_examples_at_once_is_refused(options, said, files):
    done = CliRunner().invoke(app, ["train", str(files[0]), "--label", "2", "--stream", *options])
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


class Odd(Numbered):
    """A source that does not hold what it says."""

    def __init__(self, what):
        super().__init__([6, 6])
        self.what = what

    def features(self, piece):
        parts = [*super().features(piece)]
        if self.what == "rows":
            parts = parts[:1]
        if self.what == "columns" and piece:
            parts = [np.ones((6, 2))]
        if self.what == "NaN" and piece:
            parts[1][1] = np.nan
        return iter(parts)

    def labels(self, piece):
        labels = super().labels(piece)
        return {"labels": labels[:2], "one class": np.ones(6), "no label": np.full(6, np.nan)}.get(self.what, labels)

    def weights(self, piece):
        return np.full(6, -1.0) if self.what == "weights" else None


ODD = {
    "rows": "piece 0 of the source has 3 rows, and says 6",
    "columns": "features of shape",
    "NaN": r"^x\[10, 0\] is nan",
    "labels": "labels of shape",
    "one class": "at least two different values",
    "no label": "finite",
    "weights": "weights of the source must be finite and at least 0",
}


@pytest.mark.parametrize("what", ODD)
def test_a_source_that_does_not_hold_what_it_says_is_refused(what):
    with pytest.raises(ValueError, match=ODD[what]):
        fit(Odd(what), **OPTIONS)


def test_labels_beside_a_source_are_refused(examples):
    with pytest.raises(TypeError, match="in the source"):
        fit(Arrays(*examples), examples[1])


def test_arrays_that_do_not_fit_each_other_are_refused(examples):
    x, y = examples
    for arrays in ((x, y[:5]), (x, y, np.ones(3)), (x[:, 0], y)):
        with pytest.raises(ValueError, match="shape"):
            Arrays(*arrays)


@pytest.mark.parametrize(("name", "said"), [("data.csv", "npy or .parquet"), ("none.npy", "no such file")])
def test_other_files_are_refused(name, said, tmp_path):
    (tmp_path / "data.csv").write_text("a,y\n1,2\n")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        source_of(tmp_path / name, "y")


def test_a_parquet_file_with_gaps_or_text_is_refused(files, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    with pytest.raises(ValueError, match="not numeric: id"):
        fit(source_of(files[1], "label"), **OPTIONS)
    parquet.write_table(arrow.table({"a": [1.0, None], "y": [0, 1], "z": [None, 1]}), tmp_path / "gaps.parquet")
    with pytest.raises(ValueError, match=r"missing in 'a' \(first in row 2\)"):
        fit(source_of(tmp_path / "gaps.parquet", "y", leave_out=["z"]), **OPTIONS)
    with pytest.raises(ValueError, match=r"missing in 'z' \(first in row 1\)"):
        fit(source_of(tmp_path / "gaps.parquet", "z", leave_out=["a"]), **OPTIONS)


def test_arrays_that_there_is_no_memory_for_are_refused(examples, monkeypatch):
    monkeypatch.setattr(members, "available", lambda: 1000)
    with pytest.raises(MemoryError, match="--stream"):
        fit(*examples, epochs=1)


def test_what_is_available_is_what_a_container_allows(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable:  40 kB\n")
    assert available(tmp_path) == 40 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("1000\n")
    (group / "memory.max").write_text("max\n")
    assert available(tmp_path) == 40 * 1024
    (group / "memory.max").write_text("3000\n")
    assert available(tmp_path) == 2000
    assert available(tmp_path / "elsewhere") > 1 << 20


def test_a_parquet_file_is_read_by_several_threads_at_once(files, sorted_examples):
    table = Parquet(files[1])
    names = [f"f{k}" for k in range(4)]

    def read(group):
        return np.concatenate(list(table.numbers(group, names, 7))), table.labels(group, "label")

    with ThreadPoolExecutor(8) as threads:
        for group, (x, labels) in zip([*range(7)] * 20, threads.map(read, [*range(7)] * 20), strict=True):
            rows = slice(32 * group, 32 * group + 32)
            np.testing.assert_array_equal(x, sorted_examples[0][rows])
            assert labels.tolist() == sorted_examples[1][rows].tolist()
