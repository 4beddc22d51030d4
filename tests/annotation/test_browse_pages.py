"""The pages of Browse: what they show to whom, saved views, and changes of many rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation import browsing, labelling, ordering, savedviews, searching, talk
from annotation.gold import Right, mark
from annotation.models import BulkChange, Prompt, SavedView
from tests.annotation.making import a_comparison, a_demonstration, a_prompt, an_answer, first_is_better, lease
from training.models import Generation, ModelVersion, Run, Sample

BROWSE = "/projects/desk/data/"


@pytest.fixture
def as_(client):
    def sign_in(member):
        client.force_login(member.person)
        return client

    return sign_in


def shown(client, **query):
    answer = client.get(BROWSE, query)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_reviewers_and_leads_see_every_row(as_, project, alice, rita, bob):
    a_comparison(project, answers=("Green, please.", "Black."))
    labelling.submit(assignment=lease(bob), said=first_is_better(comment="Kinder."))
    for who in (alice, rita):
        assert "Question" in shown(as_(who))
        assert "Green, please." in shown(as_(who), view="answers")
        labels = shown(as_(who), view="labels")
        assert "Kinder." in labels
        assert "bob" in labels
    assert as_(bob).get(BROWSE).status_code == 403


def test_who_wrote_an_answer_and_what_is_gold_is_for_leads(as_, project, alice, rita):
    prompt = a_prompt(project)
    answer = an_answer(prompt, "Sampled.", "model")
    base = ModelVersion.objects.create(project=project, name="secretive", kind="policy", format="full", location="b")
    run = Run.objects.create(project=project, method="generate", base=base, status="succeeded")
    generation = Generation.objects.create(project=project, run=run, model_version=base, seed=1)
    Sample.objects.create(generation=generation, response=answer, index=0)
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]), actor=alice.person)
    pages = [
        (BROWSE, {"view": "answers"}),
        (BROWSE, {}),
        (reverse("browse_prompt", args=["desk", prompt.pk]), {}),
        (reverse("browse_prompt", args=["desk", known.item.prompt_id]), {}),
    ]
    told = "".join(as_(alice).get(*page).content.decode() for page in pages)
    for word in ("secretive", "Sampled from a model", "Gold"):
        assert word in told
    kept = "".join(as_(rita).get(*page).content.decode() for page in pages)
    for word in ("secretive", "Sampled from a model", "gold"):
        assert word not in kept.partition("<main")[2].lower() or (word == "gold" and "Gold" not in kept)
    for query in ({"model": "secretive"}, {"origin": "model"}):
        assert "Sampled." in shown(as_(rita), view="answers", **query)  # no filter of theirs: it narrows nothing
    assert as_(rita).get(BROWSE, {"state": "gold"}).status_code == 422


def test_words_are_marked_and_nothing_runs(as_, project, alice):
    attack = "<script>alert(1)</script> parcel <mark onclick=x>"
    an_answer(a_prompt(project, attack), f"{attack} too")
    searching.fill()
    for view in ("prompts", "answers"):
        page = shown(as_(alice), q="parcel script", view=view)
        assert "<mark>parcel</mark>" in page
        assert "<script>alert" not in page
        assert "<mark onclick" not in page
        assert "&lt;" in page


def test_words_found_in_an_answer_are_shown_with_its_prompt(as_, project, alice):
    an_answer(a_prompt(project, "What do you sell?"), "We sell green tea.")
    searching.fill()
    page = shown(as_(alice), q="green")
    assert "In an answer:" in page
    assert "<mark>green</mark>" in page


def test_a_prompt_is_named_by_what_is_asked_wherever_its_words_were_found(as_, project, alice):
    system = {"role": "system", "content": "You work for a tea shop."}
    messages = [system, {"role": "user", "content": "Do you sell pots?"}]
    Prompt.objects.create(project=project, messages=messages, sha256="a" * 64, split="train")
    searching.fill()
    assert "Do you sell pots?" in shown(as_(alice), q="tea")


def test_rows_that_cannot_be_searched_yet_are_told(as_, project, alice):
    a_prompt(project)
    assert "1 new rows cannot be searched yet" in shown(as_(alice), q="tea")
    assert "cannot be searched" not in shown(as_(alice))


def test_pages_go_on_from_the_last_row(as_, project, alice, monkeypatch):
    monkeypatch.setattr(browsing.find, "__kwdefaults__", {"order": "newest", "after": None, "size": 2})
    for number in range(5):
        a_prompt(project, f"Letter {number}")
    page, seen = shown(as_(alice), tag=""), []
    for _ in range(3):
        seen += [number for number in range(4, -1, -1) if f"Letter {number}" in page]
        following = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
        page = as_(alice).get(BROWSE + following).content.decode() if following.startswith("?") else ""
    assert seen == [4, 3, 2, 1, 0]


def test_answers_come_by_length_and_prompts_by_agreement(as_, project, alice):
    for text in ("Green.", "Green, please.", "Red."):
        an_answer(a_prompt(project), text)
    page = shown(as_(alice), view="answers", order="longest")
    assert page.index("Green, please.") < page.index("Green.") < page.index("Red.")
    assert "3 answers" in page
    page = shown(as_(alice), order="disputed")
    assert "No prompt has two labels yet" in page
    assert "Longest first" not in page


def test_a_page_by_length_that_is_not_full_says_so(as_, project, alice, monkeypatch):
    place = ordering.Place(0, 1, 1)
    monkeypatch.setattr(browsing, "find", lambda *asked, **how: browsing.Found([], place, looked_to=0))
    page = shown(as_(alice), view="answers", order="longest", split="heldout")
    assert "Nothing fits of the rows looked through so far." in page
    assert "after=n0-1-1" in page
    assert "Go on looking" in page


def test_an_empty_project_says_what_to_do(as_, project, alice):
    assert "Bring in prompts" in shown(as_(alice))
    assert "Nobody has labelled yet" in shown(as_(alice), view="labels")
    assert "Nothing fits all of this" in shown(as_(alice), tag="tea")
    a_prompt(project)
    assert "Nobody has labelled yet" in shown(as_(alice), order="labelled")


@pytest.mark.parametrize(
    "query", [{"split": "red"}, {"since": "soon"}, {"metadata": "source"}, {"until": "9999-12-31"}, {"kind": "x"}]
)
def test_filters_that_do_not_fit_are_named(as_, project, alice, query):
    answer = as_(alice).get(BROWSE, query)
    assert answer.status_code == 422
    assert b"errorlist" in answer.content


def test_odd_addresses_show_a_page(as_, project, alice):
    a_prompt(project)
    for query in ({"view": "nonsense"}, {"after": "nonsense"}, {"like": "x"}, {"like": "9" * 30}, {"colour": "red"}):
        assert as_(alice).get(BROWSE, query).status_code == 200


def test_what_takes_too_long_says_how_to_narrow(as_, project, alice, monkeypatch):
    def too_slow(*args, **more):
        raise browsing.TooSlow

    monkeypatch.setattr(browsing, "find", too_slow)
    answer = as_(alice).get(BROWSE)
    assert answer.status_code == 422
    assert b"takes too long" in answer.content


def test_more_like_this(as_, project, alice):
    one = a_prompt(project, "My teapot arrived broken")
    a_prompt(project, "A broken teapot again")
    a_prompt(project, "Opening hours?")
    searching.fill()
    page = shown(as_(alice), like=one.pk).partition("<form")[2].partition("Prompts like this one")[2]
    assert "A broken teapot again" in page
    assert "Opening hours" not in page


@pytest.mark.parametrize("view", ["prompts", "answers", "labels"])
def test_a_page_takes_as_many_statements_for_many_rows_as_for_few(
    as_, project, alice, bob, view, django_assert_num_queries
):

    counts = []
    shown(as_(alice), view=view)
    for _ in range(2):
        for _ in range(4):
            a_comparison(project)
            labelling.submit(assignment=lease(bob), said=first_is_better())
        with CaptureQueriesContext(connection) as captured:
            shown(as_(alice), view=view)
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert counts[0] <= 32


def test_one_prompt_with_all_that_hangs_on_it(as_, project, alice, bob, rita):
    item = a_comparison(project, answers=("Green.", "Black."))
    label = labelling.submit(assignment=lease(bob), said=first_is_better(comment="Kinder."))
    said = talk.comment(item=item, author=bob, text="Which tea?")
    Prompt.objects.update(metadata={"source": "<b>desk</b>", "faults": ["rude", "<i>late</i>"]}, tags=["tea"])
    address = reverse("browse_prompt", args=["desk", item.prompt_id])
    page = as_(alice).get(address).content.decode()
    faults = "rude, &lt;i&gt;late&lt;/i&gt;"
    for words in (
        "Green.",
        "Black.",
        "bob",
        "Kinder.",
        "&lt;b&gt;desk",
        "tea",
        faults,
        reverse("comment", args=[said.pk]),
    ):
        assert words in page
    labelling.retract(label=label, actor=bob)
    page = as_(alice).get(address).content.decode()
    assert "Withdrawn" in page
    assert "Label retracted" in page
    assert "History" not in as_(rita).get(address).content.decode()
    assert as_(bob).get(address).status_code == 403
    assert as_(alice).get(reverse("browse_prompt", args=["desk", 0])).status_code == 404


# Saved views


def save(client, query="tag=tea", **more):
    return client.post(f"{BROWSE}views/", {"query": query, "name": "Tea", **more})


def test_a_view_is_saved_and_opened_by_colleagues_it_is_shared_with(as_, project, alice, rita):
    assert save(as_(alice), shared="on", query="view=answers&tag=tea&after=1-2-3&nonsense=x").url == (
        f"{BROWSE}?view=answers&tag=tea"
    )
    view = SavedView.objects.get()
    assert (view.owner, view.query) == (alice.person, {"view": "answers", "tag": "tea"})
    assert "?tag=tea&amp;view=answers" in shown(as_(rita))
    SavedView.objects.update(shared=False)
    assert "Tea" not in shown(as_(rita)).partition("<main")[2]


def test_the_same_name_is_the_same_view(as_, project, alice, rita):
    save(as_(alice))
    save(as_(alice), query="tag=coffee")
    save(as_(rita))
    assert {(one.owner.username, one.query["tag"]) for one in SavedView.objects.all()} == {
        ("alice", "coffee"),
        ("rita", "tea"),
    }


@pytest.mark.parametrize("more", [{"name": ""}, {"name": "x" * 81}, {"query": "split=red"}])
def test_a_view_that_does_not_fit_is_not_saved(as_, project, alice, more):
    assert save(as_(alice), **more).status_code == 302
    assert not SavedView.objects.exists()


def test_views_are_renamed_shared_and_deleted_by_their_owner(as_, project, alice, rita, bob):
    view = savedviews.save(member=rita, name="Mine", query={"tag": "tea"})
    address = reverse("change_view", args=["desk", view.pk])
    assert as_(alice).post(address, {"verb": "delete"}).status_code == 404  # not shared
    as_(rita).post(address, {"name": "Ours", "shared": "on"})
    view.refresh_from_db()
    assert (view.name, view.shared) == ("Ours", True)
    assert as_(alice).post(address, {"name": "Hers"}).status_code == 403
    assert as_(bob).post(address, {"verb": "delete"}).status_code == 403
    savedviews.save(member=rita, name="Second", query={})
    as_(rita).post(address, {"name": "Second", "shared": "on"})
    view.refresh_from_db()
    assert view.name == "Ours"
    as_(alice).post(address, {"verb": "delete"})  # a lead takes shared ones away
    assert not SavedView.objects.filter(pk=view.pk).exists()


# Changes of many rows


def change(client, **what):
    return client.post(f"{BROWSE}change/", {"query": "tag=old", "of": "selected", **what}, follow=True)


def test_ticked_rows_are_changed(as_, project, alice):
    one, other = a_prompt(project, tags=["old"]), a_prompt(project, tags=["old"])
    page = change(as_(alice), row=[one.pk], add_tags="tea, green", remove_tags="old").content.decode()
    assert "Done, for 1 prompt." in page
    assert sorted(Prompt.objects.get(pk=one.pk).tags) == ["green", "tea"]
    assert Prompt.objects.get(pk=other.pk).tags == ["old"]


def test_everything_found_is_counted_before_it_is_changed(as_, project, alice):
    for _ in range(3):
        a_prompt(project, tags=["old"])
    page = change(as_(alice), of="found", add_tags="tea").content.decode()
    assert "3 prompts" in page
    assert not BulkChange.objects.exists()
    page = change(as_(alice), of="found", add_tags="tea", sure="on").content.decode()
    assert "Going on" in page
    assert BulkChange.objects.get().query == {"tag": "old"}


@pytest.mark.parametrize("what", [{"add_tags": "tea"}, {"row": ["1"]}, {"of": "all"}, {"row": ["x"], "priority": "99"}])
def test_a_change_that_does_not_fit_is_refused(as_, project, alice, what):
    assert b"note--error" in change(as_(alice), **what).content
    assert not BulkChange.objects.exists()


def test_a_change_is_undone_by_a_button(as_, project, alice):
    prompt = a_prompt(project, tags=["old"])
    change(as_(alice), row=[prompt.pk], add_tags="tea")
    made = BulkChange.objects.get()
    assert "Undo" in as_(alice).get(f"{BROWSE}changes/").content.decode()
    as_(alice).post(f"{BROWSE}changes/{made.pk}/undo/")
    assert BulkChange.objects.filter(undoes=made).exists()


def test_reviewers_change_nothing(as_, project, rita):
    prompt = a_prompt(project)
    assert "Change many rows" not in shown(as_(rita))
    assert change(as_(rita), row=[prompt.pk], add_tags="tea").status_code == 403
    assert Prompt.objects.get().tags == []
