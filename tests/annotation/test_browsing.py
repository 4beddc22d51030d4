"""Finding rows again: every filter, every order, page after page, at a pace that does not hang on their number."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import browsing, filters, labelling, searching, talk
from annotation.asking import ask
from annotation.browsing import Place, count, each, find
from annotation.consensus import recompute
from annotation.filters import ANSWERS, LABELS, PROMPTS, VIEWS, Wanted
from annotation.gold import Right, mark
from annotation.labelling import Said
from annotation.models import Consensus, Item, Label, Membership, Project, Prompt, Response
from annotation.ordering import DISPUTED, LONGEST, OLDEST, SHORTEST, order_of
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    a_disagreement,
    a_prompt,
    an_answer,
    first_is_better,
    lease,
)
from training.models import Generation, ModelVersion, Run, Sample


def found(project, view=PROMPTS, order=browsing.NEWEST, **values):
    """All that fits, page after page of two, each found once."""
    wanted = Wanted(project, view, values)
    ids, after = [], None
    while True:
        page = find(wanted, order=order, after=after, size=2)
        ids += page.ids
        if page.after is None:
            break
        after = Place.parse(str(page.after))
    assert len(ids) == len(set(ids))
    return ids


def newest_first(*prompts):
    return [one.pk for one in sorted(prompts, key=lambda one: one.pk, reverse=True)]


@pytest.fixture(params=["rare", "near", "common", "any way"])
def way(request, monkeypatch):
    """Each of the ways a page is found by must find the same."""
    if request.param == "near":
        monkeypatch.setattr(browsing, "MANY", -1)
        monkeypatch.setattr(browsing, "NEAR", 3)
    if request.param in ("common", "any way"):
        monkeypatch.setattr(browsing, "_rare", lambda wanted: (None, 0))
    if request.param == "any way":
        monkeypatch.setattr(browsing, "LOOKED_AT", 1)
    return request.param


def test_prompts_come_newest_first_and_oldest_first(project, way):
    prompts = [a_prompt(project) for _ in range(5)]
    assert found(project) == newest_first(*prompts)
    assert found(project, order=OLDEST) == [one.pk for one in prompts]


def test_prompts_of_one_moment_are_told_apart(project, way):
    prompts = [a_prompt(project) for _ in range(5)]
    Prompt.objects.update(created_at=timezone.now())
    assert found(project) == newest_first(*prompts)


def test_answers_stand_with_their_prompts(project, way):
    first, second = a_prompt(project), a_prompt(project)
    of_first = [an_answer(first, text).pk for text in ("one", "two", "three")]
    of_second = [an_answer(second, text).pk for text in ("one", "two", "three")]
    assert found(project, ANSWERS) == [*of_second, *of_first]
    assert found(project, ANSWERS, OLDEST) == [*of_first, *of_second]


def test_labels_come_newest_first(project, bob, bea, way):
    a_comparison(project, wanted=2)
    labels = [labelling.submit(assignment=lease(one), said=first_is_better()).pk for one in (bob, bea)]
    assert found(project, LABELS) == labels[::-1]


def test_nothing_of_another_project_is_found(project, bob, way):
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(person=bob.person, project=other)
    theirs = a_demonstration(other)
    theirs.prompt.tags = ["tea"]
    theirs.prompt.save()
    for view in VIEWS:
        assert found(project, view) == []
        assert found(project, view, tag="tea") == []
        assert found(project, view, kind="demonstration") == []
        assert found(project, view, origin="import") == []


def test_by_tag_language_and_split(project, way):
    tea = a_prompt(project, tags=["tea", "shop"], language="en")
    letters = a_prompt(project, tags=["letters"], language="de", split="heldout")
    answer = an_answer(tea, "Green.")
    assert found(project, tag="tea") == [tea.pk]
    assert found(project, language="de") == [letters.pk]
    assert found(project, split="heldout") == [letters.pk]
    assert found(project, split="train", language="de") == []
    assert found(project, ANSWERS, tag="shop") == [answer.pk]
    assert found(project, ANSWERS, language="de") == []


def test_by_date(project, way):
    old, new = a_prompt(project), a_prompt(project)
    Prompt.objects.filter(pk=old.pk).update(created_at=datetime(2026, 3, 1, tzinfo=UTC))
    april = datetime(2026, 4, 1, tzinfo=UTC)
    assert found(project, until=april) == [old.pk]
    assert found(project, since=april) == [new.pk]
    assert found(project, since=april, until=april + timedelta(days=1)) == []


def test_by_kind_and_state(project, bob, way):
    waiting = a_comparison(project)
    done = a_demonstration(project)
    alone = a_prompt(project)
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="accept"))
    dropped = a_demonstration(project)
    Item.objects.filter(pk=dropped.pk).update(dropped=True)
    assert found(project, kind="comparison") == [waiting.prompt_id]
    assert found(project, state="waiting") == [waiting.prompt_id]
    assert found(project, state="complete") == found(project, state="labelled") == [done.prompt_id]
    assert found(project, state="dropped") == [dropped.prompt_id]
    assert found(project, state="unasked") == [alone.pk]
    assert found(project, kind="comparison", state="complete") == []  # of one and the same item
    assert len(found(project, ANSWERS, state="waiting")) == 2
    assert len(found(project, LABELS, kind="demonstration")) == 1


def test_by_what_waits_for_reviewers_and_leads(project, bob, bea, way):
    disputed = a_disagreement(project, bob, bea)
    asked = a_comparison(project)
    talk.comment(item=asked, author=bob, text="What is meant?", flag=True)
    assert set(found(project, state="review")) == {disputed.prompt_id, asked.prompt_id}
    assert found(project, state="flagged") == [asked.prompt_id]
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    assert found(project, state="gold") == [known.item.prompt_id]


def test_by_person_and_quality_flag_of_the_same_label(project, bob, bea, way):
    for name in ("wrong facts", "tone"):
        a_comparison(project, answers=(f"{name} one", f"{name} two"), wanted=2)
    first, second = (
        labelling.submit(assignment=lease(bob), said=first_is_better(flags=[flag])) for flag in ("wrong facts", "tone")
    )
    labelling.submit(assignment=lease(bea), said=first_is_better())
    assert found(project, person="bob") == newest_first(first.item.prompt, second.item.prompt)
    assert found(project, flag="tone") == [second.item.prompt_id]
    assert found(project, person="bea", flag="wrong facts") == []
    assert found(project, LABELS, flag="wrong facts") == [first.pk]
    assert len(found(project, ANSWERS, person="bea")) == 2


def test_withdrawn_labels_find_no_prompt_but_are_labels(project, bob, way):
    a_comparison(project)
    label = labelling.submit(assignment=lease(bob), said=first_is_better())
    labelling.retract(label=label, actor=bob)
    assert found(project, person="bob") == []
    assert found(project, standing="withdrawn") == [label.item.prompt_id]
    assert found(project, LABELS, person="bob", standing="withdrawn") == [label.pk]
    assert found(project, LABELS, standing="live") == []


def test_by_agreement(project, bob, bea, way):
    disputed = a_disagreement(project, bob, bea)
    alone = a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    recompute(project=project)
    assert found(project, agreement="low") == [disputed.prompt_id]
    assert alone.prompt_id not in found(project, agreement="high")  # one label agrees with nobody


def test_by_origin_and_model(project, way):
    prompt = a_prompt(project)
    imported, sampled = an_answer(prompt, "mine"), an_answer(prompt, "its", "model")
    base = ModelVersion.objects.create(project=project, name="base", kind="policy", format="full", location="base")
    run = Run.objects.create(project=project, method="generate", base=base, status="succeeded")
    generation = Generation.objects.create(project=project, run=run, model_version=base, seed=1)
    Sample.objects.create(generation=generation, response=sampled, index=0)
    other = a_prompt(project)
    an_answer(other, "mine")
    assert found(project, origin="model") == found(project, model="base") == [prompt.pk]
    assert found(project, ANSWERS, model="base") == [sampled.pk]
    assert imported.pk in found(project, ANSWERS, origin="import")
    assert found(project, model="another") == []


def test_by_metadata(project, way):
    desk = a_prompt(project, metadata={"source": "help desk", "year": 2026, "deep": {"no": 1}})
    a_prompt(project, metadata={"source": "shop"})
    searching.fill()
    assert found(project, metadata="source = help desk") == [desk.pk]
    assert found(project, metadata="year=2026") == [desk.pk]
    assert found(project, metadata="source=desk") == []


def test_by_words_of_prompt_or_answer(project, bob, way):
    item = a_demonstration(project, "We sell green tea.")
    other = a_prompt(project, "Where is my parcel?")
    labelling.submit(assignment=lease(bob, "demonstration"), said=Said(verdict="accept"))
    searching.fill()
    assert found(project, q="parcel") == [other.pk]
    assert found(project, q="green tea") == [item.prompt_id]
    assert found(project, q="coffee") == found(project, q="?!") == []
    assert found(project, ANSWERS, q="green") == list(Response.objects.values_list("pk", flat=True))
    assert found(project, ANSWERS, q="parcel") == []
    assert found(project, LABELS, q="green") == [Label.objects.get().pk]


def test_what_is_found_by_several_of_its_rows_is_one_row(project, bob, way):
    prompt = a_prompt(project, "A teapot?")
    answers = [an_answer(prompt, f"A teapot, {number}.") for number in range(3)]
    for pair in (answers[:2], answers[1:]):
        ask(project=project, prompt=prompt, kind="comparison", responses=pair)
    labelling.submit(assignment=lease(bob), said=first_is_better())
    labelling.submit(assignment=lease(bob), said=first_is_better())
    searching.fill()
    for wanted in ({"q": "teapot"}, {"kind": "comparison"}, {"person": "bob"}):
        assert find(Wanted(project, PROMPTS, wanted)).ids == [prompt.pk], wanted
        assert count(Wanted(project, PROMPTS, wanted)) == (1, False)
    assert find(Wanted(project, ANSWERS, {"kind": "comparison"})).ids == [one.pk for one in answers]


def test_filters_narrow_together(project, bob, way):
    for number in range(6):
        prompt = a_prompt(project, tags=["even"] if number % 2 == 0 else [], language="en" if number < 3 else "de")
        an_answer(prompt, "text")
    assert len(found(project, tag="even", language="en")) == 2
    assert len(found(project, ANSWERS, tag="even", language="de")) == 1


def test_rows_of_one_language_stand_in_both_orders(project, way):
    prompts = [a_prompt(project, language="de" if number % 2 else "en") for number in range(6)]
    answers = [an_answer(one, text).pk for one in prompts for text in ("one", "two")]
    german = [one.pk for one in prompts[1::2]]
    assert found(project, language="de") == german[::-1]
    assert found(project, order=OLDEST, language="de") == german
    assert found(project, order=OLDEST, language="de", until=prompts[3].created_at) == german[:1]
    assert found(project, ANSWERS, OLDEST, language="de") == [*answers[2:4], *answers[6:8], *answers[10:]]


def test_latest_label_first_has_each_prompt_once(project, bob, bea, way):
    first, second = a_comparison(project, wanted=2), a_comparison(project)
    labels = [labelling.submit(assignment=lease(one), said=first_is_better()) for one in (bob, bob, bea)]
    assert [one.item for one in labels] == [first, second, first]
    assert found(project, order=browsing.LABELLED) == [first.prompt_id, second.prompt_id]
    assert found(project, order=browsing.LABELLED, person="bob") == [second.prompt_id, first.prompt_id]


def test_the_number_of_prompts_by_latest_label_is_that_of_the_labelled(project, bob):
    for _ in range(3):
        item = a_comparison(project)
        Prompt.objects.filter(pk=item.prompt_id).update(tags=["tea"])
        labelling.submit(assignment=lease(bob), said=first_is_better())
        a_prompt(project, tags=["tea"])
    for values in ({"tag": "tea"}, {"person": "bob"}, {"tag": "tea", "state": "labelled"}):
        page = find(Wanted(project, PROMPTS, values), order=browsing.LABELLED, size=2)
        assert (len(page.ids), page.total) == (2, 3), values
    assert find(Wanted(project, PROMPTS), order=browsing.LABELLED, size=2).total is None
    assert find(Wanted(project, PROMPTS), order=browsing.LABELLED).total == 3


def test_prompts_found_by_what_people_said_come_by_that(project):
    assert order_of(Wanted(project, PROMPTS, {"person": "bob"})) == browsing.LABELLED
    assert order_of(Wanted(project, PROMPTS, {"person": "bob"}), OLDEST) == OLDEST
    assert order_of(Wanted(project, PROMPTS, {"state": "labelled"})) == browsing.LABELLED
    assert order_of(Wanted(project, PROMPTS, {"agreement": "low"})) == DISPUTED
    assert order_of(Wanted(project, PROMPTS, {"agreement": "low", "person": "bob"})) == browsing.LABELLED
    assert order_of(Wanted(project, ANSWERS, {"agreement": "low"})) == browsing.NEWEST
    assert order_of(Wanted(project, PROMPTS, {"tag": "tea"})) == browsing.NEWEST
    assert order_of(Wanted(project, ANSWERS, {"person": "bob"}), browsing.LABELLED) == browsing.NEWEST


def agreed(project, confidence, *, prompt=None, labels=(1, 2)):
    """An item on which people agree so far; returns its prompt's id."""
    prompt = prompt or a_prompt(project, tags=["tea"])
    item, _ = ask(project=project, prompt=prompt, kind="demonstration", responses=[an_answer(prompt, f"{confidence}")])
    Consensus.objects.create(
        item=item, method="majority", outcome={}, confidence=confidence, labels=list(labels), computed_at=timezone.now()
    )
    return prompt.pk


def test_least_agreement_first_has_each_prompt_once_where_people_agree_least(project, way):
    even, low, high = (agreed(project, confidence) for confidence in (0.1 + 0.2, 0.25, 1.0))
    both = agreed(project, 0.9)
    agreed(project, 0.2, prompt=Prompt.objects.get(pk=both))
    other = agreed(project, 0.1 + 0.2)
    agreed(project, 0.1, labels=[1])  # one label agrees with itself
    a_prompt(project, tags=["tea"])
    agreed(Project.objects.create(slug="other", name="Other"), 0.0)
    for values in ({}, {"tag": "tea"}):
        assert found(project, order=DISPUTED, **values) == [both, low, even, other, high]
    assert found(project, order=DISPUTED, tag="coffee") == []
    assert found(project, order=DISPUTED, agreement="low") == [both, low, even, other]
    assert found(project, order=DISPUTED, agreement="high") == [both, high]  # by its item that fits


def test_the_number_of_disputed_prompts_is_theirs(project):
    for number in range(3):
        agreed(project, number / 10)
        a_prompt(project, tags=["tea"])
    page = find(Wanted(project, PROMPTS, {"tag": "tea"}), order=DISPUTED, size=2)
    assert (len(page.ids), page.total) == (2, 3)
    assert find(Wanted(project, PROMPTS), order=DISPUTED, size=2).total is None


def test_answers_come_by_their_length(project, way):
    first, second = a_prompt(project, tags=["tea"]), a_prompt(project, tags=["tea"])
    long, short, longer = an_answer(first, "é" * 7), an_answer(second, "abc"), an_answer(second, "a" * 9)
    same = an_answer(second, "b" * 7)
    an_answer(a_prompt(Project.objects.create(slug="other", name="Other")), "a" * 20)
    for values in ({}, {"tag": "tea"}):
        assert found(project, ANSWERS, LONGEST, **values) == [longer.pk, same.pk, long.pk, short.pk]
        assert found(project, ANSWERS, SHORTEST, **values) == [short.pk, long.pk, same.pk, longer.pk]


def test_orders_are_of_what_can_be_put_in_them(project):
    assert order_of(Wanted(project, PROMPTS), DISPUTED) == DISPUTED
    assert order_of(Wanted(project, ANSWERS), DISPUTED) == browsing.NEWEST
    assert order_of(Wanted(project, ANSWERS), LONGEST) == LONGEST
    assert order_of(Wanted(project, LABELS), LONGEST) == browsing.NEWEST


def test_a_place_of_another_order_begins_at_the_first_row(project):
    long, short = (an_answer(a_prompt(project), text) for text in ("long", "x"))
    wanted = Wanted(project, ANSWERS)
    for place in (Place(timezone.now(), 1, 1), Place(0.5, 1, 1)):
        assert find(wanted, order=LONGEST, after=Place.parse(str(place))).ids == [long.pk, short.pk]
    for text in ("f18446744073709551616-1-1", "n2147483648-1-1", "n-1-1-1", "x1-1-1", "f1-1", ""):
        assert Place.parse(text) is None, text


def test_a_page_by_length_says_that_it_goes_on_looking(project, monkeypatch):
    for number in range(2, 6):
        an_answer(a_prompt(project, split="train"), "a" * number)
    heldout = an_answer(a_prompt(project, split="heldout"), "b")
    monkeypatch.setattr(browsing, "LOOKED_AT", 4)
    monkeypatch.setattr(browsing, "_any_way", lambda *asked: browsing.Statement("SELECT 1, 2, 3, 4 FROM pg_sleep(9)"))
    monkeypatch.setattr(browsing, "PATIENCE", 1)
    wanted = Wanted(project, ANSWERS, {"split": "heldout"})
    page = find(wanted, order=LONGEST)
    assert (page.ids, page.looked_to) == ([], 2)
    assert find(wanted, order=LONGEST, after=page.after).ids == [heldout.pk]


# How far a page looks


def test_a_page_that_takes_too_long_says_how_far_it_looked_and_goes_on(project, monkeypatch):
    prompts = [a_prompt(project, split="heldout" if number == 0 else "train") for number in range(7)]
    monkeypatch.setattr(browsing, "LOOKED_AT", 3)
    monkeypatch.setattr(browsing, "_any_way", lambda *asked: browsing.Statement("SELECT 1, 2, 3, 4 FROM pg_sleep(9)"))
    monkeypatch.setattr(browsing, "PATIENCE", 1)
    wanted = Wanted(project, PROMPTS, {"split": "heldout"})
    page = find(wanted)
    assert (page.ids, page.looked_to) == ([], Prompt.objects.get(pk=prompts[4].pk).created_at)
    page = find(wanted, after=page.after)
    assert (page.ids, page.looked_to) == ([], Prompt.objects.get(pk=prompts[1].pk).created_at)
    page = find(wanted, after=page.after)
    assert (page.ids, page.after) == ([prompts[0].pk], None)


def test_so_does_one_of_answers(project, monkeypatch):
    prompts = [a_prompt(project) for _ in range(5)]
    answers = [an_answer(one, text).pk for one in prompts for text in ("one", "two")]
    monkeypatch.setattr(browsing, "LOOKED_AT", 2)
    monkeypatch.setattr(browsing, "_any_way", lambda *asked: browsing.Statement("SELECT 1, 2, 3, 4 FROM pg_sleep(9)"))
    monkeypatch.setattr(browsing, "PATIENCE", 1)
    assert sorted(found(project, ANSWERS)) == answers
    assert found(project, ANSWERS, origin="model") == []


def test_what_nothing_bounds_is_refused(project, monkeypatch):
    a_prompt(project)
    monkeypatch.setattr(browsing, "GUARD", 1)
    monkeypatch.setattr(
        browsing,
        "_stretch",
        lambda *asked: browsing.Statement("SELECT now() AS at, 1 AS place, 1 AS id FROM pg_sleep(9)"),
    )
    with pytest.raises(browsing.TooSlow):
        find(Wanted(project, PROMPTS))
    assert Prompt.objects.exists()  # the connection is as it was


def test_nothing_is_counted_to_its_end(project, monkeypatch):
    for _ in range(4):
        a_prompt(project, tags=["tea"])
    monkeypatch.setattr(browsing, "COUNTED", 2)
    for values in ({}, {"tag": "tea"}):
        page = find(Wanted(project, PROMPTS, values), size=1)
        assert (page.total, page.more_than) == (2, True)
    assert count(Wanted(project, PROMPTS, {"tag": "tea"}), most=3) == (3, True)
    assert count(Wanted(project, PROMPTS, {"split": "train"}), most=9) == (4, False)


@pytest.mark.parametrize("values", [{}, {"tag": "tea"}, {"split": "train"}])
def test_each_meets_every_row_once(project, values, monkeypatch):
    prompts = [a_prompt(project, tags=["tea"]) for _ in range(5)]
    a_prompt(project, split="heldout", tags=["other"])
    monkeypatch.setattr(browsing, "LOOKED_AT", 2)
    met = [pk for ids, _ in each(Wanted(project, PROMPTS, values), size=2) for pk in ids]
    assert set(met) >= set(newest_first(*prompts))
    assert len(met) == len(set(met))


@pytest.mark.parametrize("text", ["", "1-2", "a-b-c", "1-2-3-4", "9" * 30 + "-1-1", "-1-2-3", "٣-1-1"])
def test_what_is_no_place_is_the_beginning(text):
    assert Place.parse(text) is None


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_takes_so_many_statements_however_many_rows(project, bob, view):
    for _ in range(4):
        a_comparison(project)
        labelling.submit(assignment=lease(bob), said=first_is_better())
    with CaptureQueriesContext(
        connection,
    ) as captured:
        find(Wanted(project, view, {"tag": "tea", "person": "bob"}), size=2)
    assert len(captured) <= 10  # four of them for the time it may take


def test_every_filter_has_a_field_and_a_name_of_its_own():
    names = [one.name for one in filters.every()]
    assert len(names) == len(set(names))
    assert filters.names(lead=False) == set(names) - {"origin", "model", "suggested"}
