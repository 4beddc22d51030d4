"""Matrices are multiplied faster where a processor can, and never at the price of digits."""

from collections.abc import Iterator

import pytest
import torch

from training.recipes import kernels


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
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
