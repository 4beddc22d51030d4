"""Finding rows over the API: the filters of the page, paging by place, saved views, changes of many."""

import pytest

from annotation import asked, bulk, labelling, searching
from annotation.browseserializers import BrowseFilterSerializer
from annotation.filters import every
from annotation.models import BulkChange, Prompt, SavedView
from tests.annotation.making import a_comparison, a_prompt, an_answer, first_is_better, lease

DESK = "/api/v1/projects/desk/"


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["results"]]


def test_the_api_has_every_filter():
    assert {one.name for one in every()} == set(BrowseFilterSerializer().fields) - {"order"}


def test_prompts_and_answers_are_narrowed_as_on_the_page(api, project, alice, rita):
    tea, other = a_prompt(project, tags=["tea"], metadata={"source": "desk"}), a_prompt(project)
    answer = an_answer(tea, "Green.", "model")
    searching.fill()
    for who in (alice, rita):
        client = api(who)
        assert ids(client.get(f"{DESK}prompts/", {"tag": "tea"})) == [tea.pk]
        assert ids(client.get(f"{DESK}prompts/", {"q": "green", "metadata": "source=desk"})) == [tea.pk]
        assert ids(client.get(f"{DESK}prompts/", {"order": "oldest"})) == [tea.pk, other.pk]
        assert ids(client.get(f"{DESK}responses/", {"q": "green"})) == [answer.pk]
    (row,) = api(alice).get(f"{DESK}responses/", {"origin": "model"}).json()["results"]
    assert (row["prompt"], row["text"], row["origin"], row["models"]) == (tea.pk, "Green.", "model", [])


def test_who_wrote_an_answer_is_not_told_to_reviewers(api, project, alice, rita):
    an_answer(a_prompt(project), "Green.", "model")
    (row,) = api(rita).get(f"{DESK}responses/").json()["results"]
    assert (row["origin"], row["models"]) == (None, None)
    for query in ({"origin": "model"}, {"model": "base"}, {"state": "gold"}):
        assert api(rita).get(f"{DESK}responses/", query).status_code == 400
        assert api(alice).get(f"{DESK}responses/", query).status_code == (400 if "model" in query else 200)


def test_answers_come_in_pages_each_once(api, project, alice):
    for _ in range(3):
        prompt = a_prompt(project)
        for text in ("one", "two"):
            an_answer(prompt, text)
    page = api(alice).get(f"{DESK}responses/", {"page_size": 2}).json()
    seen = [one["id"] for one in page["results"]]
    while page["next"]:
        page = api(alice).get(page["next"]).json()
        seen += [one["id"] for one in page["results"]]
    assert len(seen) == len(set(seen)) == 6
    assert api(alice).get(f"{DESK}responses/", {"cursor": "nonsense"}).status_code == 404


def test_more_like_this(api, project, alice):
    one, alike = a_prompt(project, "A broken teapot"), a_prompt(project, "My teapot is broken")
    a_prompt(project, "Opening hours?")
    searching.fill()
    assert ids(api(alice).get(f"{DESK}prompts/", {"like": one.pk})) == [alike.pk]
    assert ids(api(alice).get(f"{DESK}prompts/", {"like": 0 + 2**40})) == []


def test_labels_are_narrowed_and_annotators_learn_nothing_of_others(api, project, alice, bob, bea):
    item = a_comparison(project, wanted=2)
    mine, theirs = (labelling.submit(assignment=lease(one), said=first_is_better()) for one in (bob, bea))
    Prompt.objects.update(tags=["tea"])
    assert ids(api(alice).get(f"{DESK}labels/", {"tag": "tea", "person": "bea"})) == [theirs.pk]
    assert ids(api(bob).get(f"{DESK}labels/", {"kind": item.kind})) == [mine.pk]
    assert ids(api(bob).get(f"{DESK}labels/", {"person": "bea"})) == []
    assert api(bob).get(f"{DESK}labels/", {"agreement": "low"}).status_code == 403


def test_views_are_saved_shared_and_deleted(api, project, alice, rita, bob):
    sent = {"name": "Tea", "query": {"view": "answers", "tag": "tea"}, "shared": True}
    made = api(rita).post(f"{DESK}views/", sent, format="json")
    assert made.status_code == 201
    address = f"{DESK}views/{made.json()['id']}/"
    (view,) = api(alice).get(f"{DESK}views/").json()["results"]
    assert (view["owner"], view["query"]) == ("rita", sent["query"])
    assert api(rita).patch(address, {"name": "Leaves", "shared": False}, format="json").json()["name"] == "Leaves"
    assert api(alice).get(f"{DESK}views/").json()["results"] == []
    assert api(alice).patch(address, {"name": "Mine"}, format="json").status_code == 404
    assert api(bob).get(f"{DESK}views/").status_code == 403
    assert api(rita).delete(address).status_code == 204
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("query", [{"split": "red"}, {"colour": "red"}, {"view": "people"}])
def test_a_view_that_asks_nothing_sensible_is_refused(api, project, alice, query):
    answer = api(alice).post(f"{DESK}views/", {"name": "Tea", "query": query}, format="json")
    assert answer.status_code == (201 if "colour" in query else 400)


def test_a_lead_counts_changes_and_undoes(api, project, alice, rita):
    one, other = a_prompt(project, language="de"), a_prompt(project)
    client = api(alice)
    sent = {"query": {"language": "de"}, "add_tags": ["tea"]}
    assert client.post(f"{DESK}changes/count/", sent, format="json").json() == {"found": 1, "more": False}
    assert not BulkChange.objects.exists()
    made = client.post(f"{DESK}changes/", sent, format="json")
    assert (made.status_code, made.json()["finished_at"]) == (201, None)
    bulk.go_on(change_id=made.json()["id"])
    address = f"{DESK}changes/{made.json()['id']}/"
    assert client.get(address).json()["changed"] == 1
    assert Prompt.objects.get(pk=one.pk).tags == ["tea"]
    back = client.post(f"{address}undo/").json()
    bulk.go_on(change_id=back["id"])
    assert Prompt.objects.get(pk=one.pk).tags == []
    assert client.post(f"{address}undo/").status_code == 400
    at_once = client.post(f"{DESK}changes/", {"prompts": [other.pk], "remove_tags": ["x"]}, format="json").json()
    assert at_once["finished_at"] is not None
    assert [change["id"] for change in client.get(f"{DESK}changes/").json()["results"]][-1] == made.json()["id"]
    for refused in ({}, {"add_tags": ["a"]}, {"prompts": [1]}, {"query": {"split": "red"}, "add_tags": ["a"]}):
        assert client.post(f"{DESK}changes/", refused, format="json").status_code == 400
    assert api(rita).post(f"{DESK}changes/", sent, format="json").status_code == 403


def test_what_an_address_says_is_kept_in_one_spelling(project):
    given = {"tag": "tea", "after": "1-2-3", "csrf": "x", "q": "  "}
    assert asked.plain(project, given, lead=True) == {"tag": "tea"}
