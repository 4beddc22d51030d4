"""The processes that benchmarks and journeys start, and kill."""

from tests.benchmarks.product import Product, running


def postmaster(product: Product) -> str:
    return (product.var / "postgres" / "server" / "data" / "postmaster.pid").read_text().split()[0]


def test_no_process_that_is_killed_takes_the_database_with_it() -> None:
    with running("web", "queue") as product:
        before, folder = postmaster(product), product.var
        for name in ("web", "queue"):
            product.kill(name)
        product.manage("recover")
        assert postmaster(product) == before
    assert product.database.returncode == 0
    assert not folder.exists()
