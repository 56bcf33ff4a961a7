"""Damaged, foreign and hostile files: one line and exit 2, within little memory; never a traceback."""

import io
import os
import random
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train import Model, read
from autodiff_ref.train.prepare import Scaling
from manual_grad.mlp import Layer

FILES = 4_000 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 150


def npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def headed(text):
    header = text.encode() + b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def zipped(members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def model_bytes(tmp_path):
    net = (Layer(np.array([[0.5, -1.0]]), np.array([0.25])), Layer(np.array([[2.0]])))
    path = Model(net, "sigmoid", np.array(["a", "b"]), Scaling(np.zeros(2), np.ones(2))).save(tmp_path / "good.npz")
    return path.read_bytes()


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(arguments):
    run = CliRunner().invoke(app, [str(a) for a in arguments])
    assert run.exit_code == 2, (run.output, run.exception)
    assert isinstance(run.exception, SystemExit), run.exception
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1, run.stderr
    return run.stderr


SHAPES = {
    "10^12": "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }",
    "10^30": f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**15}, {10**15}), }}",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }",
    "deep": "(" * 100,
    "broken": "{'descr': '<f8', 'shape'",
    "a name": "{'descr': 'no such dtype', 'fortran_order': False, 'shape': (2, 2), }",
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_header_that_lies_is_refused_in_npy_and_npz_and_models(name, tmp_path, model_bytes):
    bad = headed(SHAPES[name]) + b"\0" * 64
    (tmp_path / "x.npy").write_bytes(bad)
    refused(["train", tmp_path / "x.npy", "--label", "0"])
    (tmp_path / "x.npz").write_bytes(zipped({"x.npy": bad, "y.npy": npy(np.arange(2))}))
    refused(["train", tmp_path / "x.npz"])
    for member in ("w1.npy", "classes.npy", "about.npy"):
        (tmp_path / "model.npz").write_bytes(zipped(members(model_bytes) | {member: bad}))
        refused(["predict", tmp_path / "model.npz", tmp_path / "x.npy"])


CLASSES = {
    "structured": np.zeros(2, [("a", "f4")]),
    "complex": np.array([1j, 2j]),
    "objects": np.array([None, 1]),
    "bytes": np.array([b"a", b"b"]),
    "one": np.array(["a"]),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_other_kinds_are_refused(name, tmp_path, model_bytes):
    (tmp_path / "model.npz").write_bytes(zipped(members(model_bytes) | {"classes.npy": npy(CLASSES[name])}))
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    refused(["predict", tmp_path / "model.npz", tmp_path / "x.csv"])


def test_members_packed_or_encrypted_are_refused_and_unknown_ones_are_not_read(tmp_path, model_bytes):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    path = tmp_path / "model.npz"
    path.write_bytes(zipped(members(model_bytes), compression=zipfile.ZIP_LZMA))
    refused(["predict", path, tmp_path / "x.csv"])
    encrypted = bytearray(model_bytes)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        first = encrypted.find(mark)
        while first >= 0:
            encrypted[first + at] |= 1
            first = encrypted.find(mark, first + 4)
    path.write_bytes(encrypted)
    assert "encrypted" in refused(["predict", path, tmp_path / "x.csv"])
    bomb = zipped(members(model_bytes) | {"more.npy": b"\0" * (1 << 28)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    path.write_bytes(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    CliRunner().invoke(app, ["predict", str(path), str(tmp_path / "x.csv")])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "the bomb was unpacked"


def test_deep_nesting_in_what_a_model_says_is_refused(tmp_path, model_bytes):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    deep = npy(np.array("[" * 100_000))
    (tmp_path / "model.npz").write_bytes(zipped(members(model_bytes) | {"about.npy": deep}))
    refused(["predict", tmp_path / "model.npz", tmp_path / "x.csv"])


@pytest.mark.parametrize("text", ["\na,y\n1,0\n2,1\n", "\n\n\n", ",,\n1,2,3\n", '"a\nb",y\n1,0\n2,"\n', "a,y\n1,0\n2\n"])
def test_odd_tables_are_refused(text, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    refused(["train", tmp_path / "x.csv"])


def test_one_long_cell_costs_no_memory(tmp_path):
    rows = "\n".join(f"{k},0.5,{k % 2}" for k in range(20_000))
    (tmp_path / "x.csv").write_text(f"a,b,y\n0.{'1' * 20_000},1,0\n{rows}\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = read(tmp_path / "x.csv", "y")
    assert data.x[0, 0] == pytest.approx(1 / 9)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_python_and_pyarrow_read_the_same(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    rows = [[*draw.standard_normal(3).tolist(), ["u", " v", '"w, x"'][k % 3]] for k in range(9000)]
    text = "\ufeffa,b,c,y\r\n" + "\r\n".join(",".join(map(str, row)) for row in rows) + "\r\n\r\n"
    (tmp_path / "x.csv").write_bytes(text.encode())
    quick = read(tmp_path / "x.csv", "y")
    monkeypatch.setattr("autodiff_ref.train.arrow.text", lambda *_: None)
    slow = read(tmp_path / "x.csv", "y")
    np.testing.assert_array_equal(quick.x, slow.x)
    np.testing.assert_array_equal(quick.labels, slow.labels)
    assert quick.columns == slow.columns == ("a", "b", "c")


def test_parquet_is_read_and_its_gaps_and_texts_are_named_all_at_once(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def written(**columns):
        parquet.write_table(arrow.table(columns), tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    data = read(written(a=[1.0, 2.0], b=[3, 4], y=["u", "v"]), "y")
    assert data.x.tolist() == [[1, 3], [2, 4]]
    assert data.labels.tolist() == ["u", "v"]
    with pytest.raises(
        ValueError, match=r"missing in 'a' \(row 2\), 'b' \(2 times, first in row 1\).*; row 1 is the first example$"
    ):
        read(written(a=[1.0, None], b=arrow.array([None, None], arrow.float64()), y=["u", "v"]), "y")
    with pytest.raises(ValueError, match=r"not numeric: 'a' \(row 1 holds '1'\), 'b' \(row 1"):
        read(written(a=["1", "2"], b=["x", "y"], y=["u", "v"]), "y")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and noise PAR1")
    refused(["train", tmp_path / "x.parquet"])


def mutated(data, draw):
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[at] = draw.randrange(256)
            case 1:
                del data[at : at + draw.randrange(1, 40)]
            case 2:
                data[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 20)))
            case 3:
                data = data[: at + 1]
            case _:
                data[at] ^= 1 << draw.randrange(8)
        data = data or bytearray(b"\0")
    return bytes(data)


@pytest.mark.parametrize("kind", ["model", "csv", "npy", "npz"])
def test_mutated_files_are_read_or_refused(kind, tmp_path, model_bytes):
    """Whatever is read is whole; whatever is not, is refused by a ValueError, an OSError or a TypeError of ours."""
    from autodiff_ref.train import load

    draw = random.Random(0)
    x = np.random.default_rng(0).standard_normal((40, 3)).round(3)
    csv = "a,b,c,y\n" + "\n".join(",".join(map(str, [*row, k % 2])) for k, row in enumerate(x.tolist())) + "\n"
    good = {
        "model": model_bytes,
        "csv": csv.encode(),
        "npy": npy(x),
        "npz": zipped({"x.npy": npy(x), "y.npy": npy(np.arange(40) % 2)}),
    }[kind]
    path = tmp_path / f"mutated.{'npz' if kind == 'model' else kind}"
    read_as = load if kind == "model" else lambda path: read(path, {"npy": "-1"}.get(kind, "y"))
    outcomes = {True: 0, False: 0}
    for number in range(FILES // 4):
        data = mutated(good, draw)
        path.write_bytes(data)
        try:
            read_as(path)
        except (ValueError, OSError, TypeError) as error:
            message = str(error)
            outcomes[False] += 1
        else:
            message = str(path)
            outcomes[True] += 1
        assert message.startswith(str(path)), f"file {number}: {message}"
    assert outcomes[False], "nothing was refused"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(tmp_path, model_bytes):
    (tmp_path / "model.npz").write_bytes(model_bytes)
    (tmp_path / "x.csv").write_text("a,b\n" + "1,2\n" * 5000)
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "autodiff_ref", "predict", str(tmp_path / "model.npz"), str(tmp_path / "x.csv")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
