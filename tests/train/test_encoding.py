"""Tables as people have them: separators, decimal commas, gaps, text; what was done is kept and done again."""

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train import arrow, data, fit, load, read
from autodiff_ref.train.encoding import MOST_VALUES, Encoding, Rows, encoded, encoded_again
from autodiff_ref.train.prepare import targets_of
from tests.combinations import few_or_many

HEADER = ["", "age", "city", "income"]
ROWS = [
    ["1", "25.5", "Paris", "low"],
    ["2", "", "Rome", "high"],
    ["3", "31", "Rome", "low"],
    ["4", "44", " NA ", "high"],
    ["5", "50", "none", "high"],
]
AGES = [25.5, np.nan, 31, 44, 50]
CITIES = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [np.nan] * 3, [0, 0, 1]]


@pytest.fixture(params=[True, False], ids=["by pyarrow", "by Python"])
def reader(request, monkeypatch):
    """Both readers must say the same."""
    if not request.param:
        monkeypatch.setattr(arrow, "text", lambda *_: None)


@pytest.fixture
def people(write_csv):
    return write_csv([HEADER, *ROWS])


ENCODED = {"missing": "mean", "categories": "one-hot"}


@pytest.mark.usefixtures("reader")
def test_text_becomes_a_feature_a_value_and_gaps_their_means(people):
    found = read(people, "income", **ENCODED)
    assert found.columns == ("age", "city=Paris", "city=Rome", "city=none")
    raw = np.column_stack([AGES, CITIES])
    np.testing.assert_allclose(found.x, np.where(np.isnan(raw), np.nanmean(raw, axis=0), raw))
    assert found.labels.tolist() == [row[-1] for row in ROWS]
    said = "\n".join(found.notes)
    assert "first column has no name and is left out" in said
    assert "mean in age, city" in said
    assert "each value of city (3)" in said


@pytest.mark.usefixtures("reader")
def test_rows_with_gaps_are_dropped_and_counted(people):
    found = read(people, "income", missing="drop", categories="one-hot")
    np.testing.assert_array_equal(found.x, np.column_stack([AGES, CITIES])[[0, 2, 4]])
    assert found.labels.tolist() == ["low", "low", "high"]
    assert any("2 rows with a missing value dropped" in note for note in found.notes)


@pytest.mark.usefixtures("reader")
def test_all_that_is_wrong_is_said_at_once(people, write_csv):
    with pytest.raises(ValueError, match="missing") as refused:
        read(people, "income")
    assert "'age' (row 3)" in str(refused.value)
    assert "'city' (row 2 holds 'Paris')" in str(refused.value)
    more = [["a", "b", "c", "d", "y"], ["", "1", "inf", "x", "u"], ["NA", "", "2", "3", "v"], ["nan", "1", "1", "2", "u"]]
    with pytest.raises(ValueError, match="missing") as refused:
        read(write_csv(more), "y")
    for part in ("'a' (3 times, first in row 2), 'b' (row 3)", "'d' (row 2 holds 'x')", "infinities in 'c' (row 2)"):
        assert part in str(refused.value)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), ("|", "."), ("\t", ",")])
def test_separators_and_decimal_commas(tmp_path, separator, decimal):
    rows = [["a", "b", "y"], ["1.5", "-2e-3", "u"], ["3", "0.25", "v"]]
    text = "\n".join(separator.join(row).replace(".", decimal) for row in rows)
    path = tmp_path / "data.csv"
    path.write_text(text)
    found = read(path, "y", separator=separator, decimal=decimal)
    assert found.x.tolist() == [[1.5, -2e-3], [3, 0.25]]
    assert found.labels.tolist() == ["u", "v"]


@pytest.mark.usefixtures("reader")
def test_a_wrong_separator_or_decimal_point_is_recognised(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a;y\n1,5;u\n2;v\n")
    with pytest.raises(ValueError, match=r"separated by ';'.*--separator"):
        read(path, "y")
    with pytest.raises(ValueError, match=r"holds '1,5': a decimal comma.*--decimal"):
        read(path, "y", separator=";")


@pytest.mark.usefixtures("reader")
def test_packed_files_are_read_and_damaged_ones_refused(tmp_path):
    whole = gzip.compress(b'a,y\n1,"u, v"\n2,w\n')
    path = tmp_path / "data.csv.gz"
    path.write_bytes(whole)
    assert read(path, "y").labels.tolist() == ["u, v", "w"]
    for damaged in (whole[:-12], b"a,y\n1,u\n"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"not a csv\.gz file"):
            read(path, "y")


def test_a_packed_file_that_there_is_no_memory_for_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b"a,y\n" + b"1,u\n2,v\n" * 100_000))
    monkeypatch.setattr("autodiff_ref.train.members.available", lambda: 100_000)
    with pytest.raises(MemoryError):
        read(path, "y")


@pytest.mark.usefixtures("reader")
def test_a_missing_label_is_refused_or_its_row_dropped(write_csv):
    path = write_csv([["a", "y"], [1, "NA"], [2, ""], [3, "none"], ["", "NA"]])
    with pytest.raises(ValueError, match=r"the label 'y' is missing"):
        read(path, "y", missing="mean")
    assert read(path, "y", missing="drop").labels.tolist() == ["NA", "none"]


@pytest.mark.usefixtures("reader")
@settings(max_examples=few_or_many(5, 50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["1.5", "-2", "NA", "nan", "None", "?", ""])).map(lambda labels: ["0", *labels]))
def test_a_missing_label_among_numbers_is_refused_or_its_row_dropped(write_csv, labels):
    path = write_csv([["a", "y"], *([k, label] for k, label in enumerate(labels))])
    kept = [k for k, label in enumerate(labels) if label in ("0", "1.5", "-2")]
    if len(kept) < len(labels):
        with pytest.raises(ValueError, match=r"the label 'y' is missing"):
            read(path, "y", missing="mean")
    found = read(path, "y", missing="drop")
    assert found.labels.tolist() == [labels[k] for k in kept]
    assert found.x[:, 0].tolist() == kept


def test_a_column_of_many_texts_is_no_category(write_csv):
    path = write_csv([["a", "y"], *([f"text {k}", k % 2] for k in range(MOST_VALUES + 1))])
    with pytest.raises(ValueError, match=r"more than 100 values: 'a' \(101 values\): say `--leave-out COLUMN`"):
        read(path, "y", categories="one-hot")


def test_a_column_without_any_value_is_refused(write_csv):
    with pytest.raises(ValueError, match="no value at all in a"):
        read(write_csv([["a", "b", "y"], ["", 1, "u"], ["", 2, "v"]]), "y", missing="mean")
    with pytest.raises(ValueError, match="leaves none"):
        read(write_csv([["a", "y"], ["", "u"], ["", "v"]]), "y", missing="drop")


@pytest.mark.usefixtures("reader")
def test_a_column_without_a_name_that_is_not_the_first_is_refused(write_csv):
    with pytest.raises(ValueError, match="column 2 has no name"):
        read(write_csv([["a", "", "y"], [1, 2, "u"]]), "y")


@pytest.mark.parametrize(
    ("option", "value"),
    [("missing", "median"), ("categories", "hash"), ("decimal", ";"), ("separator", "ab"), ("separator", ".")],
)
def test_options_have_their_values(people, option, value):
    with pytest.raises(ValueError, match=option):
        read(people, "income", **{option: value})


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6) | st.just(np.nan), st.sampled_from(["red", "green", ""]), st.floats(0, 1)),
        min_size=1,
        max_size=20,
    ),
)
def test_an_encoding_does_to_its_own_table_what_was_done(rows):
    numbers, texts, others = (list(column) for column in zip(*rows, strict=True))
    raw = {"a": np.array(numbers), "b": texts, "c": np.array(others)}
    if np.isnan(raw["a"]).all() or not any(texts):
        return
    x, kept, encoding = encoded("t", raw, Rows(), "mean", "one-hot")
    assert kept.all()
    assert not np.isnan(x).any()
    again = Encoding.from_json(encoding.to_json())
    assert again == encoding
    np.testing.assert_array_equal(encoded_again("t", raw, Rows(), again), x)
    for row in range(len(rows)):  # by itself as among others
        alone = {name: column[row : row + 1] for name, column in raw.items()}
        np.testing.assert_array_equal(encoded_again("t", alone, Rows(), encoding)[0], x[row])


def test_a_model_remembers_how_its_columns_were_encoded(people, tmp_path, write_csv):
    table = read(people, "income", **ENCODED)
    saved = fit(table, epochs=2).model.save(tmp_path / "model")
    model = load(saved)
    assert model.encoding == table.encoding
    assert model.columns == table.columns
    other = write_csv([["city", "more", "age"], ["Rome", "x", "30"], ["", "y", ""]], "other.csv")
    x = read(other, encoding=model.encoding).x
    np.testing.assert_allclose(x[0], [30, 0, 1, 0])
    np.testing.assert_allclose(x[1], [np.nanmean(AGES), 0.25, 0.5, 0.25])
    assert len(model.predict(x)) == 2
    unseen = write_csv([["age", "city"], ["30", "Oslo"], ["x", "Rome"]], "unseen.csv")
    with pytest.raises(ValueError, match=r"not numeric: 'age' \(row 3 holds 'x'\).*not seen: 'city' \(row 2 holds 'Oslo'\)"):
        read(unseen, encoding=model.encoding)


def test_without_gaps_in_training_there_must_be_none_later(write_csv):
    table = read(write_csv([["a", "b", "y"], [1, "p", "u"], [2, "q", "v"]]), "y", categories="one-hot")
    with pytest.raises(ValueError, match=r"missing in 'a' \(row 2\), 'b' \(row 3\)"):
        read(write_csv([["a", "b"], ["", "p"], [2, ""]], "gaps.csv"), encoding=table.encoding)


def test_the_commands_train_and_predict_on_such_a_table(tmp_path):
    path = tmp_path / "people.csv.gz"
    text = "\n".join(";".join(row).replace(".", ",") for row in [HEADER, *ROWS])
    path.write_bytes(gzip.compress(text.encode()))
    form = ["--separator", ";", "--decimal", ","]
    options = ["--missing", "mean", "--categories", "one-hot", "--epochs", "2", "--save", str(tmp_path / "model")]
    done = CliRunner().invoke(app, ["train", str(path), "--label", "income", *form, *options])
    assert done.exit_code == 0, done.output
    assert "note: " in done.stderr
    assert "4 features" in done.stdout
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "model"), str(path), *form])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 1 + len(ROWS)


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_other_files_with_gaps(kind, tmp_path):
    x, y = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 6.0]]), np.array([0.0, 1.0, 1.0])
    path = tmp_path / f"data.{kind}"
    if kind == "npy":
        np.save(path, np.column_stack([x, y]))
    elif kind == "npz":
        np.savez(path, x=x, y=y)
    else:
        table = pytest.importorskip("pyarrow").table
        pytest.importorskip("pyarrow.parquet").write_table(
            table({"a": x[:, 0], "b": [None, 4.0, 6.0], "c": ["u", None, "v"], "y": y}), path
        )
    label = "-1" if kind == "npy" else "y"
    filled = read(path, label, **ENCODED)
    np.testing.assert_allclose(filled.x[:, :2], [[1, 5], [3, 4], [5, 6]])
    dropped = read(path, label, **ENCODED | {"missing": "drop"})
    assert dropped.labels.tolist() == ([1.0] if kind == "parquet" else [1.0, 1.0])
    if kind == "parquet":
        np.testing.assert_allclose(filled.x[:, 2:], [[1, 0], [0.5, 0.5], [0, 1]])


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("gap", ["", "late"])
def test_a_label_may_have_a_decimal_comma(write_csv, gap):
    rows = [["a", "b", "y"], ["1", "2", "0,25"], ["1,5", gap, "-3"], ["4", "5", "1e2"]]
    form = {"separator": ";", "decimal": ",", "missing": "mean", "categories": "one-hot"}
    text = write_csv(rows, delimiter=";")
    assert targets_of(read(text, "y", **form).labels, 3).tolist() == [0.25, -3, 100]
    rows[2][2] = "no, none"
    assert read(write_csv(rows, delimiter=";"), "y", **form).labels.tolist() == ["0,25", "no, none", "1e2"]


@pytest.mark.usefixtures("reader")
def test_each_row_alone_is_read_as_it_is_among_others(write_csv):
    """A column of text stays one where all of its cells look like numbers."""
    header = ["size", "flag", "place", "n"]
    rows = [["1.50", "True", "1", "1"], ["2", "false", "1234567", "2"], ["late", "maybe", "x", "3"], ["", "", "", "4"]]
    whole = read(write_csv([header, *rows]), missing="mean", categories="one-hot")
    for k, row in enumerate(rows):
        alone = write_csv([header, row], "alone.csv")
        np.testing.assert_array_equal(read(alone, encoding=whole.encoding).x, whole.x[k : k + 1])


CELLS = {
    "truth": [True, False, None, True],
    "number": [1.5, None, -2.0, 0.0],
    "text": ["late", "True", None, " soon"],
}


@pytest.mark.parametrize("spelled", [str, str.upper, str.lower])
@pytest.mark.parametrize("label", ["truth", "number", "text"])
def test_a_table_is_read_alike_from_csv_and_from_parquet(label, spelled, write_csv, tmp_path):
    """But for how labels are spelled, which are text in CSV"""
    arrow = pytest.importorskip("pyarrow")

    def cell(value):
        return "" if value is None else spelled(str(value)) if isinstance(value, bool) else value

    rows = [[cell(value) for value in row] for row in zip(*CELLS.values(), strict=True)]
    text, binary = write_csv([[*CELLS], *rows]), tmp_path / "data.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(CELLS), binary)
    for missing, wanted in (("mean", None), ("drop", label)):
        one, other = (read(path, wanted, missing=missing, categories="one-hot") for path in (text, binary))
        assert one.columns == other.columns
        np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(*(number_or_text(each.labels) for each in (one, other)))


def number_or_text(labels):
    try:
        return targets_of(labels, len(labels))
    except TypeError:
        return labels


class Frame:
    """What pandas' and polars' frames have in common."""

    def __init__(self, columns, x):
        self.columns, self.x = columns, x

    def __array__(self, dtype=None, copy=None):
        return np.array(self.x, dtype)


def test_a_frame_gives_its_names(examples):
    x, y = examples
    model = fit(Frame(["p", "q", "r", "s"], x), y, epochs=1).model
    assert model.columns == ("p", "q", "r", "s")
    np.testing.assert_array_equal(model.predict(Frame(model.columns, x)), model.predict(x))


def test_a_dataset_has_its_labels(people):
    table = read(people, "income", **ENCODED)
    with pytest.raises(TypeError, match="labels are in the dataset"):
        fit(table, table.labels)
    with pytest.raises(TypeError, match="name their column"):
        fit(read(people, leave_out=["income"], **ENCODED))


@pytest.mark.usefixtures("reader")
def test_a_table_is_read_in_chunks_as_whole(write_csv, monkeypatch):
    monkeypatch.setattr(data, "CHUNK", 2)
    rows = [[k, "late" if k == 6 else k, k % 2] for k in range(7)]
    found = read(write_csv([["a", "b", "y"], *rows]), "y", categories="one-hot")
    assert found.columns == ("a", *(f"b={v}" for v in ["0", "1", "2", "3", "4", "5", "late"]))
    np.testing.assert_array_equal(found.x[:, 1:], np.eye(7))


@pytest.mark.parametrize("where", [0, 4, 9])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["csv", "npy", "npz", "parquet"])
def test_the_place_of_a_value_is_its_row_from_1_in_a_file_of_any_kind(tmp_path, kind, wrong, where):
    """The 1st row of a text file is its header, that of another file its first example."""
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    x[where, 1] = wrong
    path, label = tmp_path / f"data.{kind}", "y"
    if kind == "csv":
        rows = [f"{a},{'' if np.isnan(b) else b},{label}" for (a, b), label in zip(x, y, strict=True)]
        path.write_text("\n".join(["a,b,y", *rows]))
    elif kind == "npz":
        np.savez(path, x=x, y=y)
    elif kind == "npy":
        np.save(path, np.column_stack([x, y]))
        label = "-1"
    else:
        table = pytest.importorskip("pyarrow").table(
            {"a": x[:, 0], "b": [None if np.isnan(b) else b for b in x[:, 1]], "y": y}
        )
        pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=4)
    row, first = (where + 2, "the header") if kind == "csv" else (where + 1, "the first example")
    ways = [[], ["--stream"]] if kind in ("npy", "parquet") else [[]]
    for way in ways:
        found = CliRunner().invoke(app, ["train", str(path), "--label", label, "--epochs", "1", *way])
        assert found.exit_code == 2, found.output
        assert f"row {row}" in found.stderr
        assert found.stderr.endswith(f"; row 1 is {first}\n")


@pytest.mark.parametrize("where", [0, 4, 9])
@pytest.mark.parametrize("way", [[], ["--stream"]])
def test_a_label_that_is_missing_in_parquet_is_told_by_its_row(tmp_path, where, way):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    labels = [None if k == where else "uv"[k % 2] for k in range(10)]
    parquet.write_table(arrow.table({"a": np.arange(10.0), "y": labels}), tmp_path / "data.parquet", row_group_size=4)
    found = CliRunner().invoke(app, ["train", str(tmp_path / "data.parquet"), "--epochs", "1", *way])
    assert found.exit_code == 2
    assert f"row {where + 1}" in found.stderr
    assert found.stderr.endswith("; row 1 is the first example\n")


def test_rows_left_out_leave_the_others_their_places(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"a": [1.0, 2.0, np.inf], "y": ["u", None, "v"]}), tmp_path / "data.parquet")
    with pytest.raises(ValueError, match=r"infinities in 'a' \(row 3\)"):
        read(tmp_path / "data.parquet", "y", missing="drop")
