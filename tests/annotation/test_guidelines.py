"""Guidelines in versions, and asking people to read them again."""

import re
import uuid

from django.urls import reverse

from annotation import labelling
from annotation.guidelines import changes, mark_read, publish, unread
from annotation.models import Assignment, Event, Label
from tests.annotation.making import a_comparison, first_is_better, lease


def test_a_new_text_is_a_new_version_and_the_old_one_stays(project, alice):
    first = project.current_guidelines
    second = publish(project=project, text="# Be brief", actor=alice.person, note="Shorter.")
    assert (first.number, second.number) == (1, 2)
    assert project.guidelines == "# Be brief"
    assert list(project.guidelines_versions.values_list("text", flat=True)) == ["# Be brief", "# Be *kind*"]
    event = Event.objects.get(verb="guidelines changed")
    assert (event.actor, event.data) == (alice.person, {"number": 2, "note": "Shorter."})


def test_the_same_text_again_is_no_new_version(project):
    assert publish(project=project, text="# Be *kind*").number == 1
    assert not Event.objects.exists()


def test_people_are_asked_to_read_until_they_have(project, bob):
    assert unread(bob) is None  # the first version of these tests does not ask
    second = publish(project=project, text="Be brief.")
    assert unread(bob) == second
    mark_read(membership=bob, version=second)
    assert unread(bob) is None


def test_a_small_change_asks_nobody_but_those_who_missed_a_large_one(project, bob, bea):
    large = publish(project=project, text="Be brief.")
    mark_read(membership=bob, version=large)
    small = publish(project=project, text="Be brief!", asks_again=False)
    assert unread(bob) is None
    assert unread(bea) == small


def test_empty_guidelines_ask_nobody(project, bob):
    publish(project=project, text=" ")
    assert unread(bob) is None


def test_a_label_carries_the_version_its_author_had_read(project, bob):
    first = project.current_guidelines
    for _ in range(4):
        a_comparison(project)

    def label():
        bob.refresh_from_db()
        return labelling.submit(assignment=lease(bob), said=first_is_better())

    assert label().guidelines == first  # nothing asks to be read: it stands beside the work
    held = lease(bob)
    second = publish(project=project, text="Be brief.")
    mark_read(membership=bob, version=first)
    assert labelling.submit(assignment=held, said=first_is_better()).guidelines == first
    mark_read(membership=bob, version=second)
    assert label().guidelines == second
    third = publish(project=project, text="Be brief!", asks_again=False)
    assert label().guidelines == third


def test_who_writes_a_version_has_read_it(project, alice, bob):
    second = publish(project=project, text="Be brief.", actor=alice.person)
    alice.refresh_from_db()
    assert (unread(alice), unread(bob)) == (None, second)


def test_an_older_version_does_not_take_back_that_a_newer_one_was_read(project, bob):
    first, second = project.current_guidelines, publish(project=project, text="Be brief.")
    mark_read(membership=bob, version=second)
    mark_read(membership=bob, version=first)
    bob.refresh_from_db()
    assert bob.read_guidelines == second


def said(pieces):
    return [(piece.kind, piece.text) for piece in pieces]


def test_changes_are_shown_word_by_word():
    old, new = "# Style\n\nBe very kind.\n", "# Style\n\nBe kind and brief.\n"
    assert said(changes(old, new)) == [
        ("same", "# Style\n\n"),
        *[("same", "Be "), ("gone", "very "), ("same", "kind"), ("new", " and brief"), ("same", ".\n")],
    ]
    assert "".join(text for kind, text in said(changes(old, new)) if kind != "new") == old
    assert "".join(text for kind, text in said(changes(old, new)) if kind != "gone") == new


def test_what_did_not_change_is_folded():
    lines = [f"line {number}\n" for number in range(20)]
    new = [*lines[:10], "another\n", *lines[11:]]
    found = said(changes("".join(lines), "".join(new)))
    assert [kind for kind, _ in found if kind == "folded"] == ["folded"] * 2
    assert found[0] == ("folded", "".join(lines[:8]))
    assert found[1] == ("same", "line 8\nline 9\n")


def test_texts_that_share_nothing_and_empty_ones():
    assert said(changes("", "new")) == [("new", "new")]
    assert said(changes("old", "")) == [("gone", "old")]
    assert said(changes("same", "same")) == [("same", "same")]


# The pages

WORK = "/projects/desk/label/comparison/"
FRAGMENT = {"X-Touchstone": "item"}


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def test_a_change_is_read_before_the_next_item_which_comes_in_the_same_round_trip(client, project, bob):
    mark_read(membership=bob, version=project.current_guidelines)
    second = publish(project=project, text="# Be *brief*", note="Short answers.")
    a_comparison(project)
    client.force_login(bob.person)
    shown = text_of(client.get(WORK))
    assert "The guidelines have changed" in shown
    assert "Short answers." in shown
    assert "<del>kind</del><ins>brief</ins>" in shown
    assert not Assignment.objects.exists()  # nothing is held while they read
    answer = client.post(f"/projects/desk/guidelines/{second.number}/read/", {"kind": "comparison"}, headers=FRAGMENT)
    assert "Which answer is better?" in text_of(answer)
    bob.refresh_from_db()
    assert bob.read_guidelines == second
    assert "Which answer is better?" in text_of(client.get(WORK))


def test_who_is_new_reads_all_of_it_and_without_scripts_goes_on_by_a_redirect(client, project, bob):
    second = publish(project=project, text="# Be brief")
    a_comparison(project)
    client.force_login(bob.person)
    shown = text_of(client.get(WORK))
    assert "Read the guidelines before you begin" in shown
    assert "<h1>Be brief</h1>" in shown or "Be brief</h" in shown
    assert "<del>" not in shown
    answer = client.post(f"/projects/desk/guidelines/{second.number}/read/", {"kind": "comparison"})
    assert answer.url == WORK


def test_the_change_comes_after_the_label_that_was_being_written(client, project, bob):
    for _ in range(2):
        a_comparison(project)
    client.force_login(bob.person)
    client.get(WORK)
    publish(project=project, text="# Be brief")
    assignment = Assignment.objects.get()
    data = {"client_uuid": str(uuid.uuid4()), "choice": "left"}
    answer = client.post(f"/assignments/{assignment.pk}/submit/", data, headers=FRAGMENT)
    assert Label.objects.count() == 1
    assert "Be brief" in text_of(answer)
    assert "Which answer is better?" not in text_of(answer)


def test_a_version_that_is_not_there_cannot_be_read(client, project, bob):
    client.force_login(bob.person)
    assert client.post("/projects/desk/guidelines/9/read/").status_code == 404
    assert client.get("/projects/desk/guidelines/9/").status_code == 404


def test_the_history_shows_what_each_version_changed(client, project, bob, alice):
    publish(project=project, text="# Be *brief*", actor=alice.person, note="Short answers.", asks_again=False)
    client.force_login(bob.person)
    history = text_of(client.get("/projects/desk/guidelines/versions/"))
    assert "Short answers." in history
    assert "small change" in history
    shown = text_of(client.get("/projects/desk/guidelines/2/"))
    assert "What changed since version 1" in shown
    assert "<del>kind</del><ins>brief</ins>" in shown
    assert "What changed" not in text_of(client.get("/projects/desk/guidelines/1/"))


def test_the_page_of_the_guidelines_asks_whoever_has_not_read_it(client, project, bob):
    publish(project=project, text="# Be brief")
    client.force_login(bob.person)
    assert "I have read it" in text_of(client.get("/projects/desk/guidelines/"))
    client.post("/projects/desk/guidelines/2/read/")
    assert "I have read it" not in text_of(client.get("/projects/desk/guidelines/"))


def test_what_somebody_else_saved_meanwhile_is_not_written_over_unseen(client, project, alice, rita):
    client.force_login(alice.person)
    address = reverse("edit_guidelines", args=["desk"])
    known = client.get(address).context["form"]["after"].value()
    publish(project=project, text="# Be brief", actor=rita.person)
    sent = {"guidelines": "# Be warm", "after": known}
    refused = client.post(address, sent)
    assert refused.status_code == 422
    assert "rita saved version 2 while this was written." in text_of(refused)
    assert "<ins>brief</ins>" in text_of(refused)
    assert refused.context["form"]["guidelines"].value() == "# Be warm"
    again = {**sent, "after": refused.context["form"]["after"].value()}
    assert client.post(address, again).status_code == 302
    assert project.current_guidelines.number == 3
    publish(project=project, text="# Be clear", actor=rita.person)
    publish(project=project, text="# Be clear and true", actor=rita.person)
    assert "<ins>clear and true</ins>" in text_of(client.post(address, {"guidelines": "# Be quick", "after": 3}))


def test_guidelines_that_were_emptied_say_where_the_text_is(client, project, alice):
    client.force_login(alice.person)
    address = reverse("guidelines", args=["desk"])
    publish(project=project, text="", actor=alice.person)
    page = client.get(address).content.decode()
    assert "Nobody has written" not in page
    assert "version 2" in page


def test_my_work_is_shown_to_its_owner(client, project, bob):
    client.force_login(bob.person)
    assert "Your first label starts it" in text_of(client.get("/projects/desk/me/"))
    a_comparison(project)
    labelling.submit(assignment=lease(bob), said=first_is_better(seconds=20))
    shown = text_of(client.get("/projects/desk/me/"))
    assert "<dt>Labels today</dt> <dd>1</dd>" in shown
    assert "<dt>Labels in an hour of work</dt> <dd>180</dd>" in shown
    a_comparison(project)
    assert "yours today: 1" in text_of(client.get(WORK))
