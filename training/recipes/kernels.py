"""Which library multiplies float32 matrices on a processor: the faster of the two in PyTorch that keeps float32."""

import os

import torch

# oneDNN writes code for each shape of matrices, half a megabyte or more, and keeps the last 1,024; PyTorch keeps as
# many of what it makes of them. Texts of every length come by; of a batch a few dozen shapes are used again and again.
SHAPES = "64"


def choose() -> bool:
    """Let oneDNN multiply in place of MKL where it can and every product stays float32; whether it does.

    MKL leaves the wide registers of processors that are not Intel's unused: on an EPYC with AVX-512, oneDNN does twice
    the operations a second. PyTorch turns to it only if told that bfloat16 will do, and some processors then take it
    at its word. So a product is tried, and where it loses digits all stays as it was.
    """
    if torch.cuda.is_available():
        return False
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # read at the first product
        os.environ.setdefault(cache, SHAPES)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if keeps_float32():
        return True
    torch.set_float32_matmul_precision(before)
    return False


def keeps_float32() -> bool:
    """Whether a product of matrices is as exact as float32 allows; bfloat16 is wrong in the third digit."""
    draws = torch.Generator().manual_seed(17)
    left, right = torch.randn(256, 512, generator=draws), torch.randn(512, 256, generator=draws)
    exact = left.double() @ right.double()
    return bool((left @ right - exact).abs().max() < 1e-5 * exact.abs().max())
