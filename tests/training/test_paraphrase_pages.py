"""The leads' pages of paraphrases: starting a run, reading what it wrote, deciding; and choosing it as data."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Prompt
from tests.annotation.making import a_prompt
from tests.training.making import a_model, demonstrates, says, succeeds
from training import paraphrasing
from training.models import Paraphrase, Run

pytestmark = pytest.mark.django_db

OTHER = "What is to be done with a damaged delivery?"


@pytest.fixture
def asked(project, bob) -> Prompt:
    prompt = a_prompt(project, "How do I return a parcel that came broken?")
    says(bob, demonstrates(prompt), verdict="accept")
    return prompt


@pytest.fixture
def wrote(project, base, asked, client: Client, alice) -> Run:
    """A run of which one paraphrase is kept, one refused and one refused for good."""
    a_prompt(project, "Can a package be sent back to the warehouse?", split="heldout")
    client.force_login(alice.person)
    run = paraphrasing.paraphrase(project=project, model=base, wake=False)
    texts = (OTHER, "<b>Return</b>?", "Can a package be sent back to the warehouse?")
    lines = [
        {"prompt_id": asked.pk, "sample": n, "text": text, "tokens": 9, "finished": True}
        for n, text in enumerate(texts)
    ]
    return succeeds(run, lines)


def page_of(client: Client, run: Run, **query: str):
    return client.get(reverse("paraphrases", args=["desk", run.pk]), query)


def test_a_lead_has_prompts_said_in_other_words(client: Client, project, base, asked, alice):
    client.force_login(alice.person)
    page = reverse("start_paraphrasing", args=["desk"])
    shown = client.get(page)
    assert shown.context["candidates"] == 1
    assert shown.context["form"]["instruction"].value().startswith("Rewrite the message")
    sent = {"model": base.pk, "prompts": "5", "instruction": "Say it as a child would.", "samples_per_prompt": "3"}
    answer = client.post(page, sent)
    run = Run.objects.get(method="paraphrase")
    assert answer["Location"] == reverse("run", args=["desk", run.pk])
    assert (run.settings["instruction"], run.settings["samples_per_prompt"]) == ("Say it as a child would.", 3)
    assert (run.seed, run.created_by, len(run.inputs["prompts"])) == (17, alice.person, 1)
    assert client.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"instruction": "Short"}, "instruction"),
        ({"prompts": "0"}, "prompts"),
        ({"temperature": "0"}, None),
        ({"model": "999"}, "model"),
    ],
)
def test_what_does_not_fit_stands_beside_its_field(client: Client, project, base, asked, alice, wrong, field):
    client.force_login(alice.person)
    answer = client.post(reverse("start_paraphrasing", args=["desk"]), {"model": base.pk, **wrong})
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {field or "__all__"}
    assert not Run.objects.exists()


def test_without_a_model_or_a_prompt_it_says_so(client: Client, project, alice):
    client.force_login(alice.person)
    page = reverse("start_paraphrasing", args=["desk"])
    assert b"no model that could write" in client.get(page).content
    base = a_model(project)
    assert b"nothing to say in other words" in client.get(page).content
    answer = client.post(page, {"model": base.pk})
    assert "no prompt to say in other words" in str(answer.context["form"].errors)


def test_what_was_written_stands_beside_its_original(client: Client, wrote, asked):
    page = page_of(client, wrote)
    html = page.content.decode()
    assert html.count(asked.last_turn) == 3
    assert "&lt;b&gt;Return&lt;/b&gt;?" in html
    assert [one.refused_because for one in page.context["page"]] == ["", "shorter", "heldout"]
    for show, expected in (
        ("kept", [""]),
        ("refused", ["shorter", "heldout"]),
        ("heldout", ["heldout"]),
        ("whatever", ["", "shorter", "heldout"]),
    ):
        assert [one.refused_because for one in page_of(client, wrote, show=show).context["page"]] == expected
    run_page = client.get(reverse("run", args=["desk", wrote.pk])).content.decode()
    assert "1 of 3 paraphrases are kept" in run_page
    assert reverse("paraphrases", args=["desk", wrote.pk]) in run_page


def test_a_lead_refuses_one_and_takes_one_back(client: Client, wrote, alice):
    kept, short, held = wrote.paraphrases.all()

    def decide(one: Paraphrase, keep: str, **more: str):
        answer = client.post(reverse("decide_paraphrase", args=["desk", one.pk]), {"keep": keep, **more})
        one.refresh_from_db()
        return answer

    answer = decide(kept, "no", show="kept", page="1")
    assert answer["Location"] == f"/projects/desk/runs/{wrote.pk}/paraphrases/?show=kept&page=1#paraphrase-{kept.pk}"
    decide(short, "yes")
    assert (kept.is_kept, kept.decided_by, short.is_kept) == (False, alice.person, True)
    assert [one.pk for one in page_of(client, wrote, show="person").context["page"]] == [kept.pk]
    assert "Refused by a person by alice" in page_of(client, wrote).content.decode()
    decide(held, "yes")
    decide(held, "perhaps")
    said = [str(one) for one in page_of(client, wrote).context["messages"]]
    assert said == [
        "It stays refused, whatever anybody decides: nearly a held-out prompt.",
        "Say whether it is to be kept.",
    ]
    assert not held.is_kept


def test_a_run_learns_from_them_where_a_lead_says_so(client: Client, project, base, wrote, bob):
    for number in range(3):
        says(bob, demonstrates(a_prompt(project, f"Another question, {number}?")), verdict="accept")
    page = reverse("start_run", args=["desk"])
    assert list(client.get(page).context["form"].fields["paraphrased_by"].queryset) == [base]
    assert "made_by" not in client.get(page).context["form"].fields
    sent = {"base": base.pk, "paraphrased_by": [base.pk], "most_made": "0.5", "start": "yes"}
    assert client.post(page, sent).status_code == 302
    assert Run.objects.get(method="sft").snapshot.counts["paraphrases"] == 1
    paraphrasing.decide(paraphrase=wrote.paraphrases.get(index=0), keep=False, actor=bob.person)
    assert "paraphrased_by" not in client.get(page).context["form"].fields


def test_a_recipe_names_them(client: Client, project, base, wrote):
    page = reverse("new_snapshot", args=["desk"])
    assert client.get(page).context["form"].fields["paraphrased_by"].choices == [(str(base.pk), "base")]
    sent = {"kind": "demonstrations", "paraphrased_by": [base.pk], "most_made": "0.5"}
    preview = client.post(reverse("preview_snapshot", args=["desk"]), sent)
    assert preview.context["preview"].made == 1
    assert (
        f"With what people judged in the words of model {base.pk}, at most 50 % of all rows."
        in preview.content.decode()
    )
    frozen = client.post(page, {**sent, "freeze": "yes"}, follow=True)
    snapshot = project.snapshots.get()
    assert snapshot.counts["paraphrases"] == 1
    assert frozen.status_code == 200
    rows = [client.get(reverse("snapshot_row", args=["desk", snapshot.pk, n])).content.decode() for n in range(2)]
    (reworded,) = (row for row in rows if OTHER in row)
    assert f"In the words of model {base.pk}, 1 label" in reworded
    assert "People gave the answer" in reworded
