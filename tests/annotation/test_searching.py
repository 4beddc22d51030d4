"""Words of rows are filled in behind the imports, none is missed, and what is found is shown and never runs."""

import pytest
from django.db import connection, connections

from annotation import likeness, searching
from annotation.filters import PROMPTS, Wanted
from annotation.models import Project, Prompt, SearchMark, SearchText
from annotation.searching import excerpt, pattern, terms
from tests.annotation.making import a_prompt, an_answer


def finds(project, words):
    return set(Wanted(project, PROMPTS, {"q": words}).rows().values_list("pk", flat=True))


def test_new_rows_can_be_searched_after_a_while_and_only_once(project):
    prompt = a_prompt(project, "Where is my parcel?")
    an_answer(prompt, "On its way.")
    assert searching.not_yet(project) == 2
    assert searching.fill() == 2
    assert searching.fill() == 0
    assert searching.not_yet(project) == 0
    assert SearchText.objects.filter(prompt=prompt).count() == 2
    an_answer(prompt, "No idea.")
    assert searching.not_yet(project) == 1
    assert searching.fill() == 1


def test_rows_of_other_projects_are_not_waited_for(project):
    a_prompt(Project.objects.create(slug="other", name="Other"))
    assert searching.not_yet(project) == 0


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_committed_late_is_not_missed():
    """An import draws its ids early: while it is open, the mark does not move past them."""
    project = Project.objects.create(slug="desk", name="Desk")
    late = connections.create_connection("default")
    try:
        late.set_autocommit(False)
        with late.cursor() as cursor:
            cursor.execute(
                """INSERT INTO annotation_prompt
                (project_id, messages, sha256, split, language, tags, metadata, created_at)
                VALUES (%s, '[{"role": "user", "content": "late"}]', 'l', 'train', '', '{}', '{}', now())""",
                [project.pk],
            )
        a_prompt(project, "soon")
        for _ in range(3):
            searching.fill()
        assert finds(project, "late") == set()
        late.commit()
        searching.fill()
        assert len(finds(project, "late")) == 1
    finally:
        late.close()


def test_the_mark_moves_on_once_nothing_can_come_late(project):
    a_prompt(project)
    searching.fill()
    with connection.cursor() as cursor:  # as if the transactions of then, this test's among them, had ended
        cursor.execute("UPDATE annotation_searchmark SET transaction = 1")
    searching.fill()
    a_prompt(project)
    assert searching.fill() == 1
    mark = SearchMark.objects.get(name=searching.PROMPTS)
    assert mark.upto == Prompt.objects.order_by("pk")[0].pk


def test_odd_rows_are_filled_in_too(project):
    for number, more in enumerate(
        ({"messages": []}, {"messages": {}}, {"metadata": []}, {"metadata": {"a": None, "b": "x" * 500, "c": True}})
    ):
        Prompt.objects.create(
            **{"project": project, "sha256": str(number), "split": "train", "messages": [{"role": "user"}], **more}
        )
    an_answer(a_prompt(project), "word " * 100_000 + "y" * 5000)
    assert searching.fill() == 6
    assert ["c=true"] in SearchText.objects.values_list("facts", flat=True)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("parcel", True),
        ("PARCEL", True),
        ("parcel tea", False),
        ("parcel or tea", True),
        ("-tea parcel", True),
        ("-parcel", False),
        ('"my parcel"', True),
        ('"parcel my"', False),
        ("parc*", True),
        ("-parc*", False),
        ("par", False),
        ("ÉCLAIR", True),
        ("京タ", True),
        ("タワー", True),
        ("ワタ", False),
        ("'; DROP TABLE annotation_prompt; --", False),
        ("& | ! ( :* <->", False),
        ("%s %(a)s {x}", False),
        ('"', False),
    ],
)
def test_words_are_asked_for_as_people_write_them(project, words, found):
    prompt = a_prompt(project, "Where is my parcel, and the éclair of 東京タワー?")
    searching.fill()
    assert finds(project, words) == ({prompt.pk} if found else set())


def test_what_was_written_is_taken_apart():
    assert terms('tea "green tea" -x deliver*') == ["tea", '"green tea"', "-x", "deliver*"]


def marked(text, words, **more):
    return "".join(f"[{one.text}]" if one.found else one.text for one in excerpt(text, pattern(words), **more))


def test_what_was_found_is_marked_where_it_stands():
    assert marked("My parcel, the Parcel.", "parcel -my") == "My [parcel], the [Parcel]."
    assert marked("Parcels and deliveries", "parcel deliver*") == "Parcels and [deliveries]"
    assert marked("We sell green\n tea.", '"green tea"') == "We sell [green tea]."
    assert marked("東京タワー", "京タ") == "東[京タ]ワー"
    assert marked("a.b*c", ".*") == "a.b*c"


def test_of_a_long_text_the_part_around_is_shown():
    shown = marked("before " * 100 + "parcel" + " after" * 100, "parcel")
    assert shown.startswith("… ")
    assert "[parcel]" in shown
    assert shown.endswith(" …")
    assert len(shown) < 260


# More like this


def test_prompts_alike_share_telling_words(project):
    one = a_prompt(project, "My teapot arrived broken, may I return the teapot?")
    alike = a_prompt(project, "The teapot is broken")
    less = a_prompt(project, "Something broken")
    a_prompt(project, "Opening hours?")
    a_prompt(Project.objects.create(slug="other", name="Other"), "My teapot arrived broken")
    searching.fill()
    assert likeness.of_prompt(one) == [alike.pk, less.pk]


def test_answers_alike_share_telling_words(project):
    prompt = a_prompt(project)
    one, words, other = (an_answer(prompt, text) for text in ("green teapot", "broken teapot", "opening hours"))
    searching.fill()
    assert likeness.of_answer(one) == [words.pk]
    assert likeness.of_answer(other) == []


def test_a_row_without_words_is_like_nothing(project):
    one = a_prompt(project, "?!")
    assert likeness.of_prompt(one) == []
    searching.fill()
    assert likeness.of_prompt(one) == []
