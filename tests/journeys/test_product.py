"""The processes that benchmarks and journeys start, and kill."""

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.product import Product, running

TOKEN = "a-token-of-the-operator's"


def postmaster(product: Product) -> str:
    return (product.var / "postgres" / "server" / "data" / "postmaster.pid").read_text().split()[0]


def counted(product: Product) -> float:
    """How often the page for forgotten passwords was answered, as whichever process of the web server knows it.

    Not the sign-in page: it is asked for until the server is there, and some of that may still be on its way."""
    said = requests.get(f"{product.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30).text
    samples = [one for family in text_string_to_metric_families(said) for one in family.samples]
    asked = {"view": "account_reset_password", "method": "GET", "status": "200"}
    return sum(one.value for one in samples if (one.name, one.labels) == ("touchstone_responses_total", asked))


def test_no_process_that_is_killed_takes_the_database_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_METRICS_TOKEN", TOKEN)
    with running("web", "queue") as product:
        before, folder = postmaster(product), product.var
        told = counted(product)
        for _ in range(20):  # each over a connection of its own, which either process may take
            assert requests.get(f"{product.url}/sign-in/forgotten/", timeout=30).status_code == 200
        assert [counted(product) for _ in range(6)] == [told + 20] * 6
        for name in ("web", "queue"):
            product.kill(name)
        product.manage("recover")
        assert postmaster(product) == before
    assert product.database.returncode == 0
    assert not folder.exists()
