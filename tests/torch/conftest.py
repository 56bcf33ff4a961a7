"""These tests need PyTorch, the extra `torch`: where it is missing they are skipped. CI has an environment of their own."""

import importlib.util

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]


class _Missing(pytest.Item):
    def runtest(self) -> None:
        pytest.skip("PyTorch is not installed: pip install 'manual-grad[torch]' runs these tests")


def pytest_collect_directory(path, parent):
    """Says once that all are skipped, and why."""
    if collect_ignore_glob and path.name == "torch":
        return _Directory.from_parent(parent, path=path)
    return None


class _Directory(pytest.Directory):
    def collect(self):
        yield _Missing.from_parent(self, name="the tests of autodiff_ref.torch")
