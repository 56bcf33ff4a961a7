"""Every mode visits every example once an epoch, mixes them, and does the same for the same seed."""

import threading

import numpy as np
import pytest

from autodiff_ref.train import shuffle
from autodiff_ref.train.shuffle import REDEAL, SMALL, OnAccelerator, Shuffler, aligned, mode_of, one_ahead


def in_order(segment, batch):
    """The columns of a segment as they are trained on."""
    whole = segment.n // batch * batch
    order = np.arange(whole // batch) if segment.order is None else segment.order
    batches = segment.table[:, :whole].reshape(2, -1, batch)[:, order].reshape(2, whole)
    return np.concatenate([batches, segment.table[:, whole : segment.n]], axis=1)


def epochs(n, batch, mode, dtype=np.float32, count=3, seed=0, **options):
    table = np.stack([np.arange(n), -np.arange(n)]).astype(dtype)
    shuffler = Shuffler(table.copy(), batch, seed, mode, **options)
    seen = []
    for number in range(count):
        parts = [in_order(part, batch) for part in shuffler.epoch(number)]
        seen.append((parts, np.concatenate(parts, axis=1)))
    return table, seen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["examples", "batches", "none"])
@pytest.mark.parametrize(("n", "batch"), [(569, 32), (1000, 7), (100, 100), (5, 2), (3, 3), (1, 1)])
def test_every_example_comes_once_an_epoch(n, batch, mode, dtype):
    table, seen = epochs(n, batch, mode, dtype, count=2 * REDEAL + 1, segment=100)
    for parts, whole in seen:
        np.testing.assert_array_equal(np.sort(whole[0]), table[0])
        np.testing.assert_array_equal(whole[0], -whole[1])
        assert all(part.shape[1] % batch == 0 for part in parts[:-1]), "a batch was cut in two"


@pytest.mark.parametrize("mode", ["examples", "batches"])
def test_epochs_and_seeds_differ_and_one_seed_repeats(mode):
    _, first = epochs(512, 32, mode)
    _, again = epochs(512, 32, mode)
    _, other = epochs(512, 32, mode, seed=1)
    for (_, a), (_, b) in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0][1] != first[1][1]).any()
    assert (first[0][1] != other[0][1]).any()


def test_the_order_does_not_depend_on_the_segment_size():
    _, small = epochs(512, 8, "examples", segment=64)
    _, large = epochs(512, 8, "examples", segment=10_000)
    assert len(small[0][0]) == 8
    assert len(large[0][0]) == 1
    np.testing.assert_array_equal(small[2][1], large[2][1])


def test_examples_are_uniformly_mixed():
    """Over 400 epochs the first place is taken by each of 8 examples about 50 times; 6 standard deviations are 40."""
    _, seen = epochs(8, 4, "examples", count=400)
    counts = np.bincount([int(whole[0, 0]) for _, whole in seen], minlength=8)
    assert np.abs(counts - 50).max() < 40


def test_batches_stay_together_until_they_are_dealt_anew(monkeypatch):
    monkeypatch.setattr(shuffle, "RUNS", 8)  # of two batches
    _, seen = epochs(512, 32, "batches", count=2 * REDEAL)

    def batches(whole):
        return {tuple(whole[0, k : k + 32]) for k in range(0, 512, 32)}

    for deal in (0, REDEAL):
        of_deal = [whole for _, whole in seen[deal : deal + REDEAL]]
        assert all(batches(whole) == batches(of_deal[0]) for whole in of_deal)
        assert len({tuple(whole[0]) for whole in of_deal}) == REDEAL, "two epochs took the batches in one order"
    assert not batches(seen[0][1]) & batches(seen[REDEAL][1])


@pytest.mark.parametrize("mode", ["examples", "batches", "none"])
def test_the_table_given_is_left_alone_unless_it_may_be_overwritten(mode):
    table = np.arange(20, dtype=np.float32).reshape(2, 10)
    before = table.copy()
    orders = []
    for overwrite in (False, True):
        shuffler = Shuffler(table, 2, 0, mode, overwrite=overwrite)
        orders.append([in_order(part, 2).copy() for number in range(3 * REDEAL) for part in shuffler.epoch(number)])
        if not overwrite:
            np.testing.assert_array_equal(table, before)
    np.testing.assert_array_equal(*orders)
    assert (table != before).any() == (mode == "batches")


@pytest.mark.parametrize("mode", ["examples", "batches"])
def test_the_memory_of_a_segment_is_not_written_to_before_the_second_one_after_it(mode):
    shuffler = Shuffler(np.arange(2048, dtype=np.float32).reshape(2, 1024), 8, 0, mode, segment=256, overwrite=True)
    before = None
    for segment in (segment for number in range(3 * REDEAL) for segment in shuffler.epoch(number)):
        if before is not None:
            np.testing.assert_array_equal(before[0].table, before[1])
        before = segment, segment.table.copy()


def test_tables_begin_where_jax_takes_them_as_they_are():
    for dtype in (np.float32, np.float64):
        assert aligned(3, 5, np.dtype(dtype)).ctypes.data % 64 == 0


def test_auto_takes_the_faster_way_where_there_are_many():
    assert mode_of("auto", SMALL) == "examples"
    assert mode_of("auto", SMALL + 1) == "batches"
    with pytest.raises(ValueError, match="examples, batches, none"):
        mode_of("groups", 10)


@pytest.mark.parametrize("mode", ["examples", "batches"])
def test_the_order_does_not_depend_on_the_number_of_threads(mode, monkeypatch):
    orders = []
    for workers, large in ((1, 1), (2, 1), (5, 1), (2, 1 << 60)):
        monkeypatch.setattr(shuffle, "threads", lambda workers=workers: workers)
        monkeypatch.setattr(shuffle, "LARGE", large)
        monkeypatch.setattr(shuffle, "STREAM", 1 << 30 if workers == 2 else 0)
        orders.append([whole for _, whole in epochs(501, 16, mode)[1]])
    for other in orders[1:]:
        np.testing.assert_array_equal(other, orders[0])


def test_the_next_segment_is_worked_out_while_one_is_in_use():
    """Each item waits until its forerunner has arrived: without a second thread this would never end."""
    arrived = [threading.Event() for _ in range(4)]

    def items():
        for k in range(4):
            assert k == 0 or arrived[k - 1].wait(30)
            yield k

    got = []
    for k in one_ahead(items()):
        got.append(k)
        arrived[k].set()
    assert got == [0, 1, 2, 3]


def test_at_most_one_item_is_worked_out_ahead():
    """The memory of an item is used again for the one after next."""
    made = []

    def items():
        for k in range(5):
            made.append(k)
            yield k

    for k in one_ahead(items()):
        assert max(made) <= k + 1


def test_what_goes_wrong_in_the_other_thread_is_raised_where_it_is_used():
    def items():
        yield 1
        raise FloatingPointError("in the other thread")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(FloatingPointError, match="in the other thread"):
        next(ahead)


def test_only_the_last_segment_of_an_epoch_says_so():
    table = np.zeros((2, 100), np.float32)
    assert [segment.last for segment in Shuffler(table, 10, 0, "examples", segment=30).epoch(0)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["auto", "examples", "batches", "none"])
@pytest.mark.parametrize(("n", "room", "batch"), [(569, 600, 32), (100, 100, 100), (5, 7, 2), (1, 1, 1)])
def test_an_accelerator_takes_the_examples_in_the_same_order(n, room, batch, mode, dtype):
    table = np.full((2, room), np.nan, dtype)
    table[:, :n] = np.stack([np.arange(n), -np.arange(n)])
    first = REDEAL + 3
    there = OnAccelerator(table, batch, 3, mode, n=n, first=first)
    here = Shuffler(table, batch, 3, mode, n=n, first=first)
    for number in range(first, first + REDEAL):
        ((one,), (other,)) = ([in_order(part, batch) for part in shuffler.epoch(number)] for shuffler in (there, here))
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)
