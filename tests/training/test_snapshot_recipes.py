"""Recipes as files and under a name, the same by page, API and command."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from annotation.models import Event, Project
from tests.annotation.making import a_prompt, all_at_once
from tests.training.making import a_preference
from training.models import RecipeVersion, Snapshot
from training.snapshots import Rule, recipes, saving
from training.snapshots.recipes import Recipe

FULL = Rule(
    simulated=True,
    minimum_agreement=0.75,
    aggregation="weighted",
    purposes=["audit"],
    languages=["no", "yes", "", "日本"],
    tags=["a, b", "c: d", "#e", "- f"],
    metadata={"year": 2026, "name": "2026", "ok": True, "share": 0.5},
    people=["bob"],
    since="2026-11-01",
    weights={"import": 0.5, "made": 0},
)


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("rule", [Rule(), FULL], ids=["plain", "full"])
def test_a_file_comes_back_as_it_was(form, rule):
    recipe = Recipe("preferences", rule)
    assert recipes.read(recipes.written(recipe, form).encode()) == recipe
    assert recipes.read(b"\xef\xbb\xbf" + recipes.written(recipe, form).replace("\n", "\r\n").encode()) == recipe


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no recipe"),
        (b"just words", "no recipe"),
        (b"- a\n- list", "no recipe"),
        (b"kind: [1", "line 1"),
        (b"kind: preferences\n\tname: x", "line 2"),
        (b"1: 2", "no recipe"),
        (b"kind: essays", "begins with its kind"),
        (b"minimum_agreement: 0.6", "begins with its kind"),
        (b"kind: preferences\nminimum_agreement: 7", "minimum_agreement: .*1"),
        (b"kind: preferences\nlanguages: [no]", "languages.0: .*string"),  # YAML reads no as false
        (b"kind: preferences\nloudness: 3", "loudness"),
        (b"kind: preferences\nsince: 2026-13-45", "no recipe"),
        (b"\xff\xfe\x00", "no recipe"),
        (b"kind: !!python/object/apply:os.system ['true']", "no recipe"),
        (b"[" * 60_000, "no recipe"),
        (b"#" * 70_000, "64 KB"),
    ],
)
def test_what_is_no_recipe_is_refused_in_a_sentence(data, why):
    with pytest.raises(ValidationError, match=why):
        recipes.read(data)


# Under a name


def test_saving_again_makes_the_next_version(project, bob, alice):
    first = saving.save(project=project, name=" house  rules ", kind="preferences", rule=Rule(), actor=alice.person)
    assert (str(first), first.created_by) == ("house rules, version 1", alice.person)
    assert saving.save(project=project, name="house rules", kind="preferences", rule=Rule()) == first
    second = saving.save(project=project, name="house rules", kind="preferences", rule=Rule(minimum_votes=2))
    third = saving.save(project=project, name="house rules", kind="unpaired", rule=Rule(minimum_votes=2))
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert list(saving.newest(project)) == [third]
    first.refresh_from_db()
    assert first.rule == Rule().stored()
    assert Event.objects.filter(verb="recipe saved").count() == 3


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "nul\0"])
def test_a_recipe_has_a_name(project, name):
    with pytest.raises(ValidationError, match="name"):
        saving.save(project=project, name=name, kind="preferences", rule=Rule())
    with pytest.raises(ValidationError, match="Nobody"):
        saving.save(project=project, name="fine", kind="preferences", rule=Rule(people=["nobody"]))


def test_the_database_keeps_versions_as_they_were(project):
    saved = saving.save(project=project, name="house", kind="preferences", rule=Rule())
    for change in (lambda rows: rows.update(rule={}), lambda rows: rows.delete()):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change(RecipeVersion.objects.filter(pk=saved.pk))


@pytest.mark.django_db(transaction=True)
def test_two_who_save_at_once_get_two_numbers(project):
    rules = [Rule(minimum_votes=number) for number in range(1, 7)]
    jobs = [
        lambda rule=rule: saving.save(project=project, name="house", kind="preferences", rule=rule) for rule in rules
    ]
    assert sorted(one.number for one in all_at_once(*jobs)) == [1, 2, 3, 4, 5, 6]


# By command


def run_command(*arguments):
    out = io.StringIO()
    call_command("snapshot", "desk", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_a_file_is_frozen_from_the_command_line(project, bob, alice, tmp_path):
    a_preference(bob, a_prompt(project, language="en"))
    a_preference(bob)
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: preferences\nlanguages: [en]\n")
    made = Snapshot.objects.get(pk=int(run_command("--recipe", str(path), "--save", "english", "--by", "alice")))
    assert (made.counts["rows"], str(made.recipe)) == (1, "english, version 1")
    assert run_command("--saved", "english") == f"{made.pk}\n"
    both = Snapshot.objects.get(pk=int(run_command("--saved", "english", "--set", "languages=[]")))
    assert (both.counts["rows"], both.recipe) == (2, None)  # it is no longer what was saved
    assert RecipeVersion.objects.count() == 1
    assert recipes.read(run_command("--saved", "english", "--print").encode()) == recipes.read(path.read_bytes())
    assert Snapshot.objects.count() == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Say the kind"),
        (["--saved", "nothing"], "no recipe 'nothing'"),
        (["--recipe", "/nowhere.yaml"], "No such file"),
        (["preferences", "--set", 'people=["bobb"]'], "Nobody in this project is called bobb"),
        (["preferences", "--set", "minimum_votes=0"], "minimum_votes"),
    ],
)
def test_what_cannot_be_is_said_on_the_command_line(project, arguments, why):
    with pytest.raises(CommandError, match=why):
        run_command(*arguments)


def test_a_recipe_of_another_project_is_not_found(project, tmp_path):
    other = Project.objects.create(slug="other", name="Other")
    saving.save(project=other, name="theirs", kind="preferences", rule=Rule())
    with pytest.raises(CommandError, match="no recipe"):
        run_command("--saved", "theirs")
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: unpaired")
    with pytest.raises(CommandError, match="is of unpaired"):
        run_command("preferences", "--recipe", str(path))
