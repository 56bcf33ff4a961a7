"""Files: what is good is read as it stands, what is bad is refused with its place, nothing is ever unpickled."""

import numpy as np
import pytest

from autodiff_ref.train import fit, read
from autodiff_ref.train.moments import Moments, Scaling
from autodiff_ref.train.prepare import moments_of, signs_of, table_of


def test_csv_is_read_by_column_names(write_csv):
    path = write_csv([["a", "kind", "b"], ["1", "yes", "2.5"], [], ["-3e2", " no ", "4"]])
    data = read(path, "kind")
    assert data.columns == ("a", "b")
    assert data.x.tolist() == [[1, 2.5], [-300, 4]]
    assert data.labels.tolist() == ["yes", "no"]
    assert read(path, columns=["b", "a"]).x.tolist() == [[2.5, 1], [4, -300]]
    assert read(path, leave_out=["kind", "a"]).x.tolist() == [[2.5], [4]]
    with pytest.raises(ValueError, match=r"no column 'kind,a'; .*; write `--leave-out` once for each column"):
        read(path, leave_out=["kind,a"])


def test_quotes_a_byte_order_mark_and_tabs_are_understood(tmp_path, write_csv):
    path = write_csv([["a, b", "y"], ["1", "no\nway"]])
    assert read(path, "y").columns == ("a, b",)
    assert read(path, "y").labels.tolist() == ["no\nway"]
    tsv = tmp_path / "data.tsv"
    tsv.write_bytes("\ufeffa\ty\n1\tx\n".encode())
    assert read(tsv, "y").columns == ("a",)


def test_more_rows_than_a_chunk_are_read_in_order(write_csv, monkeypatch):
    monkeypatch.setattr("autodiff_ref.train.data.CHUNK", 3)
    path = write_csv([["a", "y"], *([k, f"l{k % 2}"] for k in range(10))])
    assert read(path, "y").x[:, 0].tolist() == list(range(10))


def test_npy_is_memory_mapped(tmp_path):
    path = tmp_path / "data.npy"
    np.save(path, np.arange(12.0).reshape(4, 3))
    data = read(path, "-1")
    assert isinstance(data.x, np.memmap)
    assert data.x.tolist() == [[0, 1], [3, 4], [6, 7], [9, 10]]
    assert data.labels.tolist() == [2, 5, 8, 11]
    assert data.columns == ("0", "1")
    assert read(path, "1").x.tolist() == [[0, 2], [3, 5], [6, 8], [9, 11]]


def test_npz_holds_x_and_labels(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.eye(2), y=np.array(["a", "b"]))
    assert read(path, "y").labels.tolist() == ["a", "b"]
    assert read(path).labels is None


class Trap:
    """Unpickled, it would raise."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


BAD_CSV = {
    "unknown label": ([["a", "b"], [1, 2]], "has no column 'y'; its columns are a, b"),
    "a row too short": ([["a", "b", "y"], [1, 2, "u"], [1]], "row 3: 1 value, where the header has 3"),
    "no examples": ([["a", "y"]], "has a header and no rows"),
    "nothing but the label": ([["y"], ["u"]], "has no column beside 'y'"),
    "twice the same name": ([["a", "a", "y"], [1, 2, 3]], "'a' more than once"),
    "no header": ([["1", "2"], [3, 4]], "must name the columns"),
    "text": ([["a", "y"], [1, "u"], ["red", "v"]], r"columns that are not numeric: 'a' \(row 3 holds 'red'\)"),
    "missing value": ([["a", "y"], ["", "u"]], r"values are missing in 'a' \(row 2\)"),
    "missing label": ([["a", "y"], [1, ""]], r"row 2: the label 'y' is missing: fill it, or say `--missing drop`"),
    "NaN": ([["a", "y"], [1, "u"], ["nan", "v"]], r"values are missing in 'a' \(row 3\)"),
    "inf": ([["a", "y"], ["-inf", "u"]], r"infinities in 'a' \(row 2\)"),
    "too large": ([["a", "y"], ["1e999", "u"]], r"infinities in 'a' \(row 2\)"),
    "too few values": ([["a", "b", "y"], [1, "u"]], r"row 2: 2 values, where the header has 3"),
    "too many values": ([["a", "y"], [1, "u", 7]], r"row 2: 3 values, where the header has 2"),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_a_bad_csv_is_refused_with_its_place(name, write_csv):
    rows, message = BAD_CSV[name]
    path = write_csv(rows)
    with pytest.raises(ValueError, match=message) as refused:
        read(path, "y")
    assert str(path) in str(refused.value)


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read(tmp_path / "none.csv")
    for name, content, message in (
        ("empty.csv", b"", "empty"),
        ("latin.csv", "a,y\n1,é\n".encode("latin-1"), "UTF-8.*: save it as UTF-8"),
        ("quote.csv", b'a,y\n1,"u\n', "not a csv file"),
        ("data.pkl", b"x", ".csv, .tsv, .csv.gz, .tsv.gz, .npy, .npz"),
        ("noise.npy", b"noise", "not a .npy file"),
        ("noise.npz", b"noise", "not a .npz file"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read(path, "y")


def test_pickles_are_never_opened(tmp_path):
    trap = np.array([[Trap()]], dtype=object)
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "trap.npz", x=trap, allow_pickle=True)
    for name in ("trap.npy", "trap.npz"):
        with pytest.raises(ValueError, match="pickled objects, which are not read"):
            read(tmp_path / name)


def test_arrays_of_the_wrong_shape_or_kind_are_refused(tmp_path):
    path = tmp_path / "data.npy"
    for array, label, message in (
        (np.arange(3.0), None, r"it must be \(n, d\)"),
        (np.empty((0, 3)), None, "at least one example"),
        (np.array([["a"]]), None, "must hold numbers"),
        (np.array([[1j]]), None, "must hold numbers"),
        (np.zeros(2, dtype=[("a", float)]), None, "must hold numbers"),
        (np.eye(3), "3", "0 to 2"),
        (np.eye(3), "y", "0 to 2"),
    ):
        np.save(path, array)
        with pytest.raises(ValueError, match=message):
            read(path, label)
    archive = tmp_path / "data.npz"
    np.savez(archive, a=np.eye(2))
    with pytest.raises(ValueError, match="has an array x"):
        read(archive)
    np.savez(archive, x=np.eye(2))
    with pytest.raises(ValueError, match="no array 'y'"):
        read(archive, "y")


@pytest.mark.parametrize(
    ("labels", "y", "classes"),
    [
        ([0, 1, 1], [-1, 1, 1], [0, 1]),
        ([-1.0, 1.0, -1.0], [-1, 1, -1], [-1, 1]),
        ([True, False, True], [1, -1, 1], [False, True]),
        (["no", "yes", "no"], [-1, 1, -1], ["no", "yes"]),
        (["10", "9", "10"], [1, -1, 1], ["9", "10"]),
        (np.array(["b", "a", "b"], dtype=object), [1, -1, 1], ["a", "b"]),
    ],
)
def test_any_two_values_become_signs(labels, y, classes):
    signs, got = signs_of(labels, 3)
    assert signs.tolist() == y
    assert got.tolist() == classes


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1, 1, 1], ValueError, r"at least two different values, got 1 \(1\)"),
        ([0, 1, 2], ValueError, r"got 3 \(0, 1, 2\)"),
        ([0, 1], ValueError, "one label for each row"),
        ([0.0, 1.0, np.nan], ValueError, "row 3 has nan; row 1 is the first example$"),
        (np.array([0, None, 1], dtype=object), TypeError, "numbers or text"),
        ([1j, 0, 1], TypeError, "numbers or text"),
    ],
)
def test_other_labels_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        signs_of(labels, 3)


def test_standardising_gives_mean_0_and_variance_1_over_the_training_rows():
    random = np.random.default_rng(0)
    x = 1e6 + random.standard_normal((500, 3)) * [1e-3, 1, 1e3]
    rows = np.arange(0, 500, 2)
    scaling = moments_of(x, rows).scaling(True)
    y = np.ones(500)
    table = table_of(x, y, None, rows, scaling, np.dtype(np.float64))[:, :250]
    np.testing.assert_allclose(table[:3].mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(table[:3].std(axis=1), 1, atol=1e-6)
    assert table.shape == (4, 250)
    np.testing.assert_array_equal(table[3], 1)


def test_a_row_of_integer_weight_scales_as_so_many_rows_and_of_none_as_none():
    random = np.random.default_rng(0)
    x, c = random.standard_normal((50, 3)), random.integers(0, 4, 50).astype(float)
    x[c == 0] = 1e300
    assert (c == 0).any()
    repeated = np.repeat(x, c.astype(int), axis=0)
    for got, want in zip(moments_of(x, None, c).scaling(True), moments_of(repeated, None).scaling(True), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert moments_of(np.array([[1.0, 2.0], [1.0, 3.0], [5.0, 4.0]]), None, np.array([1.0, 2.0, 0.0])).constant() == [0]


def test_a_constant_column_is_centred_and_not_scaled():
    x = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    scaling = moments_of(x, None).scaling(True)
    assert scaling.scale[0] == 1
    assert moments_of(x, None).constant() == [0]
    assert moments_of(x, np.array([1])).constant() == [0, 1]
    assert abs((0.1 - scaling.mean[0]) / scaling.scale[0]) < 1e-15


@pytest.mark.parametrize("mean", [1e-300, 0.1, 1e20, -1e300])
def test_a_column_of_rounding_alone_is_named_and_has_no_effect(mean):
    """Four ulps of 1e20 are 65,536: as they are, they would saturate every unit."""
    x = mean * (1 + np.finfo(float).eps * np.array([[0.0], [4.0], [1.0], [3.0]]))
    names = ("noise", "number")
    for each in (x, np.full((4, 1), mean)):
        result = fit(np.hstack([each, [[0.0], [1.0], [2.0], [4.0]]]), [0, 1, 0, 1], epochs=1, columns=names)
        assert result.constant == ["noise"]
        assert np.all(np.abs(each - result.model.scaling.mean[0]) <= 1e-15 * result.model.scaling.scale[0])


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 1.0, 0.5]])
@pytest.mark.parametrize("exponent", [-1020, -900, -500, 500, 900, 1020])
def test_standardising_does_not_ask_how_large_the_unit_of_a_column_is(exponent, weights):
    """Squares of 1e-200 vanish and those of 1e200 overflow, and a float holds both"""
    x = np.array([[1.0, 1.0], [-1.5, 1.0], [0.75, 1.0], [1.25, 1.0]])
    c = None if weights is None else np.array(weights)
    want = moments_of(x, None, c).scaling(True)
    moments = Moments.none_yet(2)
    moments.add(np.ldexp(x[:2], exponent), None if c is None else c[:2])
    moments.add(np.ldexp(x[2:], exponent), None if c is None else c[2:])
    for got in (moments_of(np.ldexp(x, exponent), None, c).scaling(True), moments.scaling(True)):
        np.testing.assert_allclose(np.ldexp(got.mean, -exponent), want.mean, rtol=1e-15)
        np.testing.assert_allclose(np.ldexp(got.scale[0], -exponent), want.scale[0], rtol=1e-15)
        assert got.scale[1] == 1


def test_numbers_that_do_not_fit_are_refused():
    x = np.array([[1.0, 1e308], [2.0, -1e308]])
    with pytest.raises(ValueError, match=r"^x\[:, 1\] is too large to standardise"):
        moments_of(x, None).scaling(True)
    with pytest.raises(ValueError, match="'age' is too large to standardise"):
        moments_of(x, None).scaling(True, ("name", "age"))
    with pytest.raises(ValueError, match=r"^'y' is too large"):
        fit(np.eye(2), [1e308, -1e308], output="identity")
    none = Scaling(np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match=r"^x\[:, 1\] does not fit into float32"):
        table_of(x, np.ones(2), None, None, none, np.dtype(np.float32))
