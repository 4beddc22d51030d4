"""Cells, names of files and recipes that mean harm."""

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from annotation import receiving, work_done
from annotation.shapes import sheet
from tests.attacks import ATTACKS
from training.snapshots import recipes

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@pytest.mark.parametrize("cell", [sheet.cell, work_done.cell])
def test_no_cell_begins_as_a_formula_does(cell):
    for text in ATTACKS.values():
        for before in ("", " ", "\u00a0", "\ufeff", " \ufeff"):
            assert not cell(before + text).lstrip(" \u00a0\ufeff").startswith(FORMULAS)


def test_what_was_made_safe_for_a_spreadsheet_is_read_as_it_was():
    for text in ATTACKS.values():
        assert sheet.text_of(sheet.cell(text)) == text


def test_no_name_of_a_file_leads_out_of_the_folder_for_imports(settings):
    folder = Path(settings.ARTIFACTS) / receiving.FOLDER
    for name in [*ATTACKS.values(), "..", ".", "", "/", "a/..", "..\\", "a" * 5000, "\0", "~root", "\n"]:
        _, path = receiving.room(name)
        assert path.resolve().parent.parent == folder.resolve()
        path.write_bytes(b"x")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        f"{LAUGHS}kind: preferences\nlanguages: *j\n",  # a thousand million words, were they written out
        "kind: preferences\nlanguages: &a [*a]",
        "!!python/object/apply:os.system ['true']",
        "kind: preferences\nlanguages: " + "[" * 2000 + "]" * 2000,
        "kind: preferences\n__proto__: {a: b}",
        "kind: preferences\nminimum_agreement: " + "9" * 10_000,
    ],
)
def test_a_recipe_that_means_harm_is_refused_at_once(text):
    with pytest.raises(ValidationError):
        recipes.read(text.encode())
