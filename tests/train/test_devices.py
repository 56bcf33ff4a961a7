"""Four devices of one process, and two processes over loopback, equal one device within rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff_ref.train import fit, kernels
from autodiff_ref.train.devices import dealt, join
from autodiff_ref.train.shuffle import Segment
from tests.train.several_fits import fitted

PROGRAM = """
import json, sys, jax
case, number, port = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.config.update("jax_num_cpu_devices", {"one": 1, "four": 4, "two processes": 2}[case])
from autodiff_ref.train import fit
from autodiff_ref.train.devices import join
from tests import quickly
from tests.train.several_fits import fitted, labelled
if case == "two processes":
    join("127.0.0.1:" + port, 2, number)
quickly.enable()
def told(done):
    print(done.number, flush=True)
print(json.dumps(fitted(1 if case == "one" else 4, sys.argv[4])), flush=True)
if case == "two processes":
    fit(*labelled(), epochs=1_000_000, batch_size=64, devices=4, on_epoch=told)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def started(case, number=0, port="0", fits=""):
    arguments = [case, str(number), port, fits]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def said_by(process, beginning):
    """The next line that begins so; Gloo's own go before it."""
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    raise AssertionError(process.stderr.read())


def flat(case):
    return np.concatenate([np.concatenate([*map(np.asarray, case[0]), case[1]])])


@pytest.mark.parametrize("fits", ["1", pytest.param("0123", marks=pytest.mark.explore)])
def test_four_devices_and_two_processes_equal_one_device_within_rounding_and_a_process_that_dies_stops_the_other(fits):
    """Batches in another order in float64; then minibatches, the whole table at once, and weights with Adam."""
    port = free_port()
    both = [started("two processes", k, port, fits) for k in (0, 1)]
    try:
        shares = started("four", fits=fits)
        one = output(started("one", fits=fits)) if kernels.accelerated() else fitted(1, fits)
        four = output(shares)
        two = [json.loads(said_by(process, "[[")) for process in both]
        assert said_by(both[0], "1"), "it trains on, without an end"
        both[1].kill()
        assert both[0].wait(timeout=60) != 0
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert [len(found) for found in (one, four, *two)] == [len(fits)] * 4
    assert two[0] == two[1], "the processes ended with different weights"
    for k, alone, shared, apart in zip(fits, one, four, two[0], strict=True):
        eps = np.finfo(np.float64 if k == "1" else np.float32).eps
        for other in (shared, apart):
            assert np.max(np.abs(flat(other) - flat(alone))) <= 200 * eps, f"case {k}"
        assert np.max(np.abs(flat(shared) - flat(apart))) <= 20 * eps


def test_every_device_is_dealt_its_share_of_every_batch():
    table = np.stack([np.arange(10.0), np.ones(10)])
    got = dealt(Segment(table, 10, np.array([1, 0]), True), 1, 4, 2)
    assert got.shape == (3, 12)
    assert got[0].tolist() == [4, 5, 0, 1, 8, 9, 6, 7, 2, 3, 0, 0]
    assert got[2].tolist() == [1] * 10 + [0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2}, "at most 1, the devices that JAX has"),
        ({"devices": 0}, "at least 1"),
    ],
)
def test_devices_that_are_not_there_are_refused(options, message, examples):
    with pytest.raises(ValueError, match=message):
        fit(*examples, epochs=1, **options)


def test_processes_are_numbered_and_meet_somewhere():
    for arguments, message in (
        (("127.0.0.1:1", 1, 0), "at least 2"),
        (("127.0.0.1:1", 2, 2), "below it"),
        (("here", 2, 0), "host:port"),
    ):
        with pytest.raises(ValueError, match=message):
            join(*arguments)
