"""The checks find what is wrong with prompts and answers, once, in the background and when asked; decisions stay."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from django_q.models import OrmQ

from annotation import cleaning, leaving_out, tasks, textchecks
from annotation.duplicates import Sketches
from annotation.models import Cleaning, Event, Finding, Project, Prompt, Response
from annotation.text import sha256
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer

LETTER = (
    "Thank you for your letter. Your parcel left our shop on Monday and should be with you by Thursday at the latest; "
    "if it is not, write to us again and we will send another one at once, without any cost to you."
)


@pytest.fixture(autouse=True)
def _no_other_rooms(settings):
    settings.MORE_CHECKS = []


def kinds(**of):
    return sorted(Finding.objects.filter(**of).values_list("kind", flat=True))


def test_each_text_is_looked_at_by_itself(project):
    prompt = a_prompt(project, "Write to anna@shop.org please")
    answer = an_answer(prompt, "I'm sorry, but I can't help with that. Call [NAME] at cafÃ© Anna.")
    assert cleaning.check(project=project)
    assert kinds(response=None) == ["personal"]
    assert kinds(response=answer) == ["encoding", "placeholder", "refusal"]
    found = Finding.objects.get(kind="placeholder")
    assert answer.text[found.start : found.end] == "[NAME]"
    assert found.turn is None
    assert Finding.objects.get(kind="personal").turn == 0


def test_what_is_asked_may_repeat_itself_and_speak_of_itself():
    said = "As an AI language model I cannot. " * 9
    found, _ = textchecks.of_prompt([{"role": "user", "content": said}])
    assert found == []
    turns = [{"role": "assistant", "content": said}, {"role": "user", "content": "Go on."}]
    assert {one.kind for one in textchecks.of_prompt(turns)[0]} >= {"boilerplate"}


def test_looking_again_adds_nothing_and_a_decision_stays(project):
    a_demonstration(project, "Dear [NAME], thank you.")
    cleaning.check(project=project)
    found = Finding.objects.get()
    Finding.objects.update(state="accepted", decided_at=timezone.now())
    Cleaning.objects.update(prompts_seen=0, responses_seen=0, version=0)
    assert cleaning.is_due(project)
    cleaning.check(project=project)
    assert Finding.objects.get() == found
    assert Finding.objects.get().state == "accepted"


def test_new_rows_are_found_by_the_clock(project):
    a_demonstration(project, "A good answer.")
    assert tasks.clean_projects() == 1
    assert cleaning.progress(project).checked_at is not None
    assert tasks.clean_projects() == 0
    item = a_demonstration(project, "Dear [NAME], thank you.")
    assert tasks.clean_projects() == 1
    assert Finding.objects.get().prompt == item.prompt
    Project.objects.update(archived=True)
    a_demonstration(project, "Dear [NAME], thank you.")
    assert tasks.clean_projects() == 0


def test_a_slice_ends_and_the_next_goes_on_from_there(project, monkeypatch):
    monkeypatch.setattr(cleaning, "BATCH", 2)
    for number in range(5):
        a_demonstration(project, f"Dear [NAME], thank you, {number}.")
    ends = [cleaning.check(project=project, seconds=0) for _ in range(9)]
    assert ends.index(True) > 3
    assert Finding.objects.filter(kind="placeholder").count() == 5


def test_somebody_who_wants_it_checked_now_wakes_the_queue_once(
    project, alice, settings, django_capture_on_commit_callbacks
):
    a_demonstration(project, "Dear [NAME], thank you.")
    with django_capture_on_commit_callbacks(execute=True):
        assert cleaning.ask(project=project, actor=alice.person)
        assert not cleaning.ask(project=project, actor=alice.person)
    assert [one.func() for one in OrmQ.objects.all()] == ["annotation.tasks.clean"]
    assert cleaning.progress(project).busy
    assert cleaning.progress(project).waiting
    tasks.clean(project.pk)
    assert not cleaning.progress(project).busy
    assert Finding.objects.filter(kind="placeholder").exists()
    assert Event.objects.get(verb="checks asked for").actor == alice.person


def test_one_process_looks_at_a_time_and_a_lost_one_is_followed(project):
    a_demonstration(project, "Dear [NAME], thank you.")
    row = Cleaning.objects.create(project=project, claimed_at=timezone.now())
    assert cleaning.check(project=project)
    assert not Finding.objects.exists()
    Cleaning.objects.filter(pk=row.pk).update(claimed_at=timezone.now() - timedelta(hours=1))
    cleaning.check(project=project)
    assert Finding.objects.exists()


def test_the_same_and_nearly_the_same_are_found(project):
    twins = [a_prompt(project, question) for question in ("Where is my  parcel?", "where is my parcel")]
    answers = [an_answer(prompt, LETTER) for prompt in twins]
    changed = an_answer(a_prompt(project), LETTER.replace("Monday", "Tuesday"))
    an_answer(twins[0], LETTER.replace("Thursday", "Friday"))  # two drafts of one answer are no copies
    cleaning.check(project=project)
    same = Finding.objects.filter(kind="duplicate")
    assert {(one.prompt_id, one.response_id, one.data["other"]) for one in same} == {
        (twins[1].pk, None, twins[0].pk),
        (twins[1].pk, answers[1].pk, answers[0].pk),
    }
    near = Finding.objects.filter(kind="near_duplicate", response=changed).get()
    assert 0.8 <= near.score < 1
    leaving_out.exclude(project=project, responses=[answers[0].pk], because="It is there twice.")
    Cleaning.objects.update(compared_responses=0, compared_at=None)
    cleaning.check(project=project)
    assert not Finding.objects.filter(response=answers[1], kind="duplicate").exists()


def test_short_answers_that_many_questions_have_are_no_duplicates(project):
    for _ in range(3):
        an_answer(a_prompt(project), "Yes, gladly.")
    cleaning.check(project=project)
    assert kinds(response__isnull=False) == []


def test_training_prompts_that_are_held_out_too_are_told(project):
    heldout = a_prompt(project, LETTER, split="heldout")
    exact = a_prompt(project, LETTER.upper())
    near = a_prompt(project, LETTER.replace("Monday", "Tuesday"))
    a_prompt(project, "Something else?")
    cleaning.check(project=project)
    overlap = Finding.objects.filter(kind="overlap")
    assert {(one.prompt_id, one.data["other"]) for one in overlap} == {(exact.pk, heldout.pk), (near.pk, heldout.pk)}
    assert not Finding.objects.filter(prompt=heldout).exists()


def test_a_crowd_of_copies_is_compared_in_linear_time():
    sketches = Sketches()
    sketches.add([LETTER] * 3_000 + [LETTER.replace("Monday", "Sunday")])
    pairs = list(sketches.alike())
    assert {younger for _, younger, _ in pairs} == set(range(1, 3_001))
    assert len(pairs) < 7_000
    sides = np.array([False] * 3_000 + [True])
    assert {(one, other) for one, other, _ in sketches.alike(sides)} == {(3_000, place) for place in range(3_000)}


def test_an_empty_language_is_filled_in_and_another_one_is_told(project):
    german = "Wo ist mein Paket? Es sollte gestern ankommen und ist noch nicht da."
    empty = a_prompt(project, german)
    wrong = a_prompt(project, german + " Bitte antworten Sie bald.", language="en")
    regional = a_prompt(project, LETTER, language="en-GB")
    odd = an_answer(regional, "Vielen Dank für Ihre Nachricht, Ihr Paket ist heute bei uns abgegangen.")
    an_answer(empty, "Ihr Paket ist heute bei uns abgegangen und sollte bis Donnerstag ankommen.")
    cleaning.check(project=project)
    empty.refresh_from_db()
    wrong.refresh_from_db()
    assert (empty.language, wrong.language) == ("de", "en")
    found = Finding.objects.filter(kind="language")
    assert {(one.prompt_id, one.response_id) for one in found} == {(wrong.pk, None), (regional.pk, odd.pk)}
    assert Event.objects.get(verb="languages filled in").data == {"language": "de", "prompts": 1}


def test_unusual_lengths_are_told_of_many(project):
    prompts = Prompt.objects.bulk_create(
        Prompt(
            project=project,
            messages=(held := [{"role": "user", "content": f"Question {number}, what of it?"}]),
            sha256=sha256(held),
            split="train",
        )
        for number in range(120)
    )
    texts = [f"{LETTER[: 100 + number % 40]} {number}" for number in range(119)] + ["word " * 4_000]
    Response.objects.bulk_create(
        Response(prompt=prompt, text=text, sha256=sha256(text), origin="import")
        for prompt, text in zip(prompts, texts, strict=True)
    )
    cleaning.check(project=project)
    found = Finding.objects.get(kind="length")
    assert found.prompt == prompts[-1]
    assert "Very long" in found.sentence


def test_what_is_excluded_is_looked_at_and_waits_for_its_return(project):
    item = a_demonstration(project, "Dear [NAME], thank you.")
    leaving_out.exclude(project=project, prompts=[item.prompt_id], because="Not ours.")
    cleaning.check(project=project)
    assert Finding.objects.get().state == "excluded"
    leaving_out.bring_back(project=project, prompts=[item.prompt_id])
    assert Finding.objects.get().state == "open"


def test_what_comes_into_another_project_has_nothing_compared_anew(project, monkeypatch):
    compared = []
    monkeypatch.setattr(cleaning.wholechecks, "compare", lambda **what: compared.append(what["project"]))
    other = Project.objects.create(slug="other", name="Other")
    a_demonstration(project, "A good answer.")
    tasks.clean_projects()
    a_demonstration(other, "A good answer.")
    tasks.clean_projects()
    for _ in range(2):
        cleaning.check(project=project)
    assert compared == [project, other]


def test_the_largest_projects_are_compared_by_the_command_alone(project, monkeypatch):
    monkeypatch.setattr(cleaning, "MOST_COMPARED", 1)
    for question in ("Where is my parcel?", "where is my parcel"):
        a_prompt(project, question)
    assert cleaning.check(project=project, seconds=10)
    assert not Finding.objects.exists()
    assert cleaning.check(project=project, largest=True)
    assert kinds() == ["duplicate"]


def test_counts_are_by_kind_and_state(project):
    a_comparison(project, ("Dear [NAME].", "Dear [NAME], hello."))
    cleaning.check(project=project)
    Finding.objects.filter(pk=Finding.objects.first().pk).update(state="accepted", decided_at=timezone.now())
    assert cleaning.counts(project) == {"placeholder": {"open": 1, "accepted": 1}}
