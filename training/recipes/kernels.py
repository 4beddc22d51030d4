"""Which library multiplies float32 matrices on a processor: the faster of the two in PyTorch that keeps float32."""

import torch


def choose() -> bool:
    """Let oneDNN multiply in place of MKL where it can and every product stays float32; whether it does.

    MKL leaves the wide registers of processors that are not Intel's unused: on an EPYC with AVX-512, oneDNN does twice
    the operations a second. PyTorch turns to it only if told that bfloat16 will do, and some processors then take it
    at its word. So a product is tried, and where it loses digits all stays as it was.
    """
    if torch.cuda.is_available():
        return False
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
