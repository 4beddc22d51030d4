"""Matrices are multiplied faster where a processor can, and never at the price of digits."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from training.recipes import kernels


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.setenv(cache, kernels.SHAPES)  # to be as it was again afterwards
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def test_whatever_was_chosen_products_stay_float32():
    chosen = kernels.choose()
    assert torch.get_float32_matmul_precision() == ("medium" if chosen else "highest")
    assert kernels.keeps_float32()


def test_where_a_processor_would_round_to_bfloat16_all_stays_as_it_was():
    with torch.autocast("cpu", torch.bfloat16):  # what such a processor does of itself
        assert not kernels.keeps_float32()
        assert not kernels.choose()
    assert torch.get_float32_matmul_precision() == "highest"


MANY_LENGTHS = """
import psutil, torch
from training.recipes import kernels

kernels.choose()
weights, process = torch.randn(576, 576), psutil.Process()
def read(lengths):
    for length in lengths:
        torch.nn.functional.linear(torch.randn(length, 576), weights)
    return process.memory_info().rss
print(-read(range(1, 100)) + read(range(100, 400)))
"""


@pytest.mark.process
def test_texts_of_ever_new_lengths_take_no_more_memory():
    """Without a limit the code for 300 more shapes took 250 MB, and a training run a quarter more than it should."""
    done = subprocess.run([sys.executable, "-c", MANY_LENGTHS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 130e6
