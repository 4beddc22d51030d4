"""The Python client at a running product: its documentation and its notebook do what they say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.product import Product
from touchstone_client import Client, Conflict, NotFound, NotPermitted, NotSignedIn

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "client.md"
NOTEBOOK = REPOSITORY / "client" / "example.ipynb"


@pytest.fixture(scope="module")
def alice(product: Product) -> Iterator[Client]:
    with Client.sign_in(product.url, "alice", "alice-has-a-secret") as client:
        importing = next(client.project("desk").runs())
        client.project("desk").wait(importing, every=0.2)  # of the tiny model
        yield client


@pytest.fixture
def at_the_product(product: Product, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_URL", product.url)
    monkeypatch.setenv("TOUCHSTONE_USER", "alice")
    monkeypatch.setenv("TOUCHSTONE_PASSWORD", "alice-has-a-secret")
    monkeypatch.setenv("TOUCHSTONE_PROJECT", "desk")


def run(cells: list[str], name: str) -> dict[str, Any]:
    """The cells one after the other, as a notebook runs them."""
    there: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        exec(compile(cell, f"{name} [{number}]", "exec"), there)
    return there


def test_the_guide_does_what_it_says(at_the_product: None) -> None:
    cells = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert len(cells) >= 6
    there = run(cells, GUIDE.name)
    assert there["run"]["status"] == "succeeded"
    assert there["label"]["judgements"][0]["rank"] in (1, 2)


def test_the_notebook_runs_and_is_kept_without_outputs(at_the_product: None) -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    there = run(["".join(cell["source"]) for cell in cells], NOTEBOOK.name)
    assert there["summary"]["added"] == 40
    assert there["labelled"] == 10
    assert there["model"]["stage"] == "production"


def test_people_are_told_what_is_not_theirs(product: Product, alice: Client) -> None:
    with Client.sign_in(product.url, "bob", "bob-has-a-secret") as bob:
        assert [project["role"] for project in bob.projects()] == ["annotator"]
        with pytest.raises(NotPermitted, match="lead"):
            list(bob.project("desk").models())
        with pytest.raises(NotPermitted):
            list(bob.project("desk").export())
    with Client.sign_in(product.url, "charlie", "charlie-has-a-secret") as charlie:
        assert list(charlie.projects()) == []
        with pytest.raises(NotFound):
            charlie.project("desk").next("comparison")
    with Client(product.url, "wrong") as nobody, pytest.raises(NotSignedIn):
        list(nobody.projects())


def test_a_skipped_item_and_a_cancelled_round(alice: Client) -> None:
    desk = alice.project("desk")
    desk.import_rows([{"prompt": "Do you sell tea?", "completion": "We do."}])
    assignment = desk.next("demonstration")
    assert assignment is not None
    assignment.skip("not now")
    started = desk.start_round(minimum_comparisons=10_000)
    assert desk.round(started["number"])["status"] == "active"
    assert desk.cancel_round(started["number"])["status"] == "cancelled"
    assert started["number"] in [one["number"] for one in desk.rounds()]
    with pytest.raises(Conflict):
        desk.cancel_round(started["number"])
