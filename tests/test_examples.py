"""The worked examples in docstrings are true; those that Hypothesis makes are the same each time."""

import doctest
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("annotation", "training", "evaluation", "config", "client")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("client.").removesuffix(".__init__")
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_are_true(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0, "there are no examples"
    assert result.failed == 0


def examples() -> list[tuple[int, str]]:
    seen = []

    @given(st.tuples(st.integers(), st.text()))
    @settings(max_examples=200, derandomize=True, deadline=None)
    def look(one: tuple[int, str]) -> None:
        seen.append(one)

    look()
    return seen


def test_made_up_examples_do_not_hang_on_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = examples()
    file = tmp_path / "full_of_numbers.py"
    file.write_text("".join(f"NAME_{n} = ({7_919_000_000 + n}, 'word {n}')\n" for n in range(500)))
    spec = spec_from_file_location("full_of_numbers", file)
    assert spec is not None
    monkeypatch.setitem(sys.modules, spec.name, module_from_spec(spec))
    assert examples() == before
