"""The tiny model, people's examples for it, and runs in folders of their own."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.tiny_model import build
from tests.training.recipes.runs import BAD, GOOD, Run, questions, says, write_parquet


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def new_run(tmp_path_factory: pytest.TempPathFactory, model: str) -> Callable[..., Run]:
    """A folder with a spec: `new_run("sft", data={...}, adapter=None, seed=17, epochs=2)`."""
    import torch

    torch.set_num_threads(1)

    def make(
        method: str,
        *,
        data: dict[str, str],
        adapter: str | None = None,
        seed: int = 17,
        base: str = model,
        **settings: Any,
    ) -> Run:
        folder = tmp_path_factory.mktemp(method)
        spec = {
            "method": method,
            "seed": seed,
            "model": {"base": base, "adapter": adapter},
            "data": data,
            "settings": settings,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        return Run(folder, method)

    return make


@pytest.fixture(scope="module")
def side_by_side() -> Any:
    """Two processes at a time: starting one costs seconds, and there are two cores."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [
        {"prompt": says("user", question), "completion": says("assistant", GOOD), "label": number}
        for number, question in enumerate(questions(40))
    ]
    return write_parquet(tmp_path_factory.mktemp("data") / "demonstrations.parquet", rows)


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [
        {
            "prompt": says("user", question),
            "chosen": says("assistant", GOOD),
            "rejected": says("assistant", BAD),
            "margin": 1.0,
        }
        for question in questions(24)
    ]
    return write_parquet(tmp_path_factory.mktemp("data") / "preferences.parquet", rows)
