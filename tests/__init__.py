"""The tests. A package, so that what they share can be imported: `tests.rounding`, `tests.wrong`."""
