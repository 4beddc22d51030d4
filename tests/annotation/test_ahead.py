"""The next item is leased while the current one is read; what is left untouched goes back."""

from datetime import timedelta

import pytest

from annotation import labelling, leasing
from annotation.models import Assignment
from tests.annotation.making import (
    a_comparison,
    a_demonstration,
    all_at_once,
    first_is_better,
    lease,
    let_time_pass,
    miscounted,
)

FRAGMENT = {"X-Touchstone": "item"}


def beyond(member, *assignments):
    return leasing.next_assignment(
        membership=member, kind="comparison", beyond=[assignment.pk for assignment in assignments]
    )


@pytest.fixture
def items(project):
    return [a_comparison(project) for _ in range(8)]


def test_the_item_after_the_one_on_the_page_is_another(items, bob):
    first = lease(bob)
    second = beyond(bob, first)
    assert second is not None
    assert second.item != first.item
    assert Assignment.objects.held().filter(person=bob.person).count() == 2
    assert lease(bob) == first  # a page that is opened anew begins where the person is


def test_what_was_fetched_ahead_by_another_page_is_used_before_more_is_leased(items, bob):
    first = lease(bob)
    second = beyond(bob, first)
    assert beyond(bob, first) == second
    assert Assignment.objects.held().filter(person=bob.person).count() == 2


def test_nobody_hoards_items(items, bob):
    held = [lease(bob)]
    while (more := beyond(bob, *held)) is not None:
        held.append(more)
    assert len(held) == leasing.MOST_HELD
    labelling.submit(assignment=held[0], said=first_is_better())
    assert beyond(bob, *held[1:]) is not None


def test_somebody_elses_assignment_among_those_on_the_page_changes_nothing(items, bob, bea):
    theirs = lease(bea)
    mine = lease(bob)
    assert beyond(bob, theirs) == mine


def test_pages_that_fetch_ahead_at_once_never_share_an_item(project, bob, bea, transactional_db):
    for _ in range(20):
        a_comparison(project)

    def work(member):
        held = lease(member)
        for _ in range(8):
            ahead = beyond(member, held)
            labelling.submit(assignment=held, said=first_is_better())
            if ahead is None:
                return
            held = ahead

    all_at_once(*[lambda member=member: work(member) for member in (bob, bea)])
    judged = Assignment.objects.filter(state="submitted").values_list("item_id", flat=True)
    assert len(judged) == len(set(judged)) >= 16
    assert not miscounted()


def test_an_untouched_item_goes_back_when_its_page_is_left(items, bob, bea):
    first = lease(bob)
    assert leasing.release(assignment=first, leased_at=first.leased_at)
    assert lease(bea).item == first.item
    assert not miscounted()


def test_an_item_with_a_draft_waits_for_its_person(items, bob, bea):
    first = lease(bob)
    leasing.save_draft(assignment=first, draft={"comment": "so far"})
    assert not leasing.release(assignment=first)
    assert lease(bea).item != first.item
    assert lease(bob).draft == {"comment": "so far"}


def test_a_page_that_is_reloaded_keeps_its_item_though_its_predecessor_says_goodbye_late(items, bob):
    before = lease(bob)
    again = lease(bob)  # the reloaded page
    assert again == before
    assert again.leased_at > before.leased_at
    assert not leasing.release(assignment=before, leased_at=before.leased_at)
    assert Assignment.objects.get(pk=before.pk).state == "leased"


def test_an_ended_lease_is_released_once(items, bob):
    first = lease(bob)
    let_time_pass([first])
    assert leasing.return_overdue() == 1
    assert not leasing.release(assignment=first)
    assert not miscounted()


# The pages


def test_the_answer_to_a_label_brings_the_item_after_the_one_on_the_page(client, project, items, bob):
    client.force_login(bob.person)
    first = lease(bob)
    ahead = client.post("/projects/desk/label/comparison/ahead/", {"on_page": first.pk}, headers=FRAGMENT)
    second = Assignment.objects.held().exclude(pk=first.pk).get()
    assert f'data-assignment="{second.pk}"' in ahead.content.decode()
    sent = {"client_uuid": "0190a6a2-0000-7000-8000-000000000001", "choice": "left", "on_page": second.pk}
    answer = client.post(f"/assignments/{first.pk}/submit/", sent, headers=FRAGMENT)
    third = Assignment.objects.held().exclude(pk=second.pk).get()
    assert f'data-assignment="{third.pk}"' in answer.content.decode()


@pytest.mark.parametrize("on_page", ["", "x", "-1", "9" * 40, "٣"])
def test_odd_words_for_what_is_on_the_page_break_nothing(client, items, bob, on_page):
    client.force_login(bob.person)
    answer = client.post("/projects/desk/label/comparison/ahead/", {"on_page": on_page}, headers=FRAGMENT)
    assert answer.status_code == 200


def test_leaving_the_page_releases_by_the_time_it_was_given(client, project, bob):
    a_demonstration(project)
    client.force_login(bob.person)
    html = client.get("/projects/desk/label/demonstration/").content.decode()
    held = Assignment.objects.get()
    assert f'data-leased-at="{held.leased_at.isoformat()}"' in html
    address = f"/assignments/{held.pk}/release/"
    late = (held.leased_at - timedelta(seconds=1)).isoformat()
    assert client.post(address, {"leased_at": late}).status_code == 204
    held.refresh_from_db()
    assert held.state == "leased"
    assert client.post(address, {"leased_at": held.leased_at.isoformat()}).status_code == 204
    held.refresh_from_db()
    assert held.state == "expired"
