"""Tags that a classifier suggests: from people's tags to a model, to suggestions, to tags that people accept."""

import doctest
import json

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation import bulk
from annotation.models import BulkChange, Event, Prompt
from tests.annotation.making import a_prompt
from tests.training.making import a_model, claimed, fails, succeeds
from training import preflight, reproducing, runs, suggestions, tagged, tuning
from training.methods import ClassifySettings, tagging
from training.models import ModelVersion, TagSuggestion
from training.models import suggestions as rows
from training.models.registry import ModelKind

pytestmark = pytest.mark.django_db
PAGE = "/projects/desk/data/"


def by_tag(*tags: str, learned: bool = True) -> list[dict]:
    """As the recipe reports each tag."""
    figures = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "average_precision": 0.9, "auc": 0.95, "share": 0.5}
    counts = {"prompts": 10, "of": 20, "said": 10, "right": 9}
    return [{"tag": tag, **figures, **counts, "learned": learned, "heldout": None} for tag in tags]


@pytest.fixture
def sorted_prompts(project) -> list[Prompt]:
    """Ten prompts about tea, ten about buses, and two that nobody has sorted."""
    found = [a_prompt(project, f"Tea? ({n})", tags=["tea"]) for n in range(10)]
    found += [a_prompt(project, f"A bus? ({n})", tags=["bus"]) for n in range(10)]
    Prompt.objects.filter(project=project).update(split="train")
    return found


@pytest.fixture
def unsorted(project) -> list[Prompt]:
    return [a_prompt(project, f"What else? ({n})") for n in range(3)]


def classified(project, *, name: str = "", **suggested: dict[int, float]) -> ModelVersion:
    """A classifier that was trained, and suggests tag → prompt → confidence."""
    run = tuning.tune(project=project, method="classify", wake=False)
    lines = [
        {"id": prompt, "tag": tag, "confidence": sure}
        for tag, each in suggested.items()
        for prompt, sure in each.items()
    ]
    return succeeds(run, lines, by_tag=by_tag("bus", "tea")).model_version


@pytest.fixture
def classifier(project, base, sorted_prompts, unsorted) -> ModelVersion:
    one, two, _ = unsorted
    return classified(project, tea={one.pk: 0.93, two.pk: 0.6}, bus={one.pk: 0.41})


def standing(project) -> set[tuple[int, str, str]]:
    found = TagSuggestion.objects.filter(project=project).exclude(state="replaced")
    return set(found.values_list("prompt", "tag", "state"))


def of(prompt: Prompt, tag: str) -> TagSuggestion:
    return TagSuggestion.objects.exclude(state="replaced").get(prompt=prompt, tag=tag)


def tags(prompt: Prompt) -> list[str]:
    prompt.refresh_from_db()
    return prompt.tags


class TestLearning:
    @pytest.mark.parametrize("module", [tagging, rows])
    def test_worked_examples(self, module):
        assert doctest.testmod(module).failed == 0

    def test_it_is_given_the_tagged_prompts_of_both_splits_and_the_newest_without(
        self, project, base, sorted_prompts, unsorted
    ):
        held = a_prompt(project, "Green tea?", tags=["tea", "odd"], split="heldout")
        run = tuning.tune(project=project, method="classify", settings={"suggest": 2}, seed=3, wake=False)
        given = {row["id"]: (row["tags"], row["split"]) for row in run.inputs["prompts"]}
        assert set(given) == {one.pk for one in [*sorted_prompts, held]}
        assert given[held.pk] == (["tea", "odd"], "heldout")
        assert [row["id"] for row in run.inputs["untagged"]] == [unsorted[2].pk, unsorted[1].pk]
        assert run.inputs["untagged"][0]["messages"] == unsorted[2].messages

    def test_what_was_excluded_or_mended_teaches_nothing(self, project, base, sorted_prompts):
        a_prompt(project, "Mended tea?", tags=["tea"], edited_from=sorted_prompts[0])
        Prompt.objects.filter(pk=sorted_prompts[1].pk).update(excluded_at="2026-01-01T00:00Z", excluded_because="spam")
        known = tagged.teaches(project, ClassifySettings(fewest=5))
        assert (known.tags, known.prompts) == ({"bus": 10, "tea": 9}, 19)

    def test_very_many_are_drawn_by_the_seed(self, project, base, sorted_prompts, monkeypatch):
        monkeypatch.setattr(tagged, "MOST_TAUGHT", 12)
        settings = ClassifySettings()
        known = tagged.teaches(project, settings)
        drawn = [[row["id"] for row in tagged.inputs(project, settings, known, seed)["prompts"]] for seed in (1, 1, 2)]
        assert (len(drawn[0]), drawn[0] == drawn[1], drawn[0] == drawn[2]) == (12, True, False)

    @pytest.mark.parametrize(
        ("given", "chosen", "said"),
        [
            ([], {}, "No training prompt has such a tag yet"),
            ([["tea"]] * 3, {}, "No tag is on enough training prompts yet (“tea” on 3)"),
            ([["tea"]] * 12, {}, "Nearly all prompts with tags carry “tea” on 12"),
            (
                [["tea"]] * 12 + [["bus"]] * 12,
                {"tags": "train"},
                "No tag is on enough training prompts yet (“train” on 0)",
            ),
        ],
    )
    def test_before_it_starts_it_says_why_nothing_can_be_learned(self, project, base, given, chosen, said):
        for number, each in enumerate(given):
            a_prompt(project, f"What? ({number})", tags=each)
        Prompt.objects.filter(project=project).update(split="train")
        report = preflight.check(project=project, method="classify", settings=chosen)
        assert not report.can_start
        assert said in report.refusals[0]
        with pytest.raises(ValidationError, match="tag"):
            tuning.tune(project=project, method="classify", settings=chosen)

    def test_before_it_starts_it_names_the_tags(self, project, base, sorted_prompts, unsorted):
        a_prompt(project, "Odd?", tags=["tea", "odd"], split="train")
        report = preflight.check(project=project, method="classify")
        assert report.can_start
        assert (report.read, report.kept) == (24, 21)
        said = {one.title: one.text for one in report.findings if one.title != "The model's files are not here"}
        assert said["Tags to learn"].startswith("“tea” on 11, “bus” on 10.")
        assert said["Tags that are too rare"].startswith("“odd” on 1")
        assert said["Suggestions"].startswith("3 of the 3 prompts")

    def test_what_it_yields_is_a_classifier_of_its_own_kind_on_whole_weights(self, project, base, classifier):
        assert (classifier.kind, classifier.format, classifier.parent) == ("classifier", "adapter", base)
        assert not ModelVersion.objects.policies().filter(pk=classifier.pk).exists()

    def test_the_command_says_what_it_learns_from(self, project, base, sorted_prompts, capsys):
        call_command("train", "desk", "classify")
        assert "From base, on 20 prompts.\n" in "".join(capsys.readouterr())

    @pytest.mark.parametrize("method", ["sft", "classify", "generate", "score", "merge"])
    def test_nothing_else_starts_from_a_classifier(self, project, classifier, method):
        with pytest.raises(ValidationError):
            runs.start(project=project, method=method, base=classifier, wake=False)


class TestSuggestions:
    def test_they_are_rows_of_their_own_and_no_tags(self, project, classifier, unsorted):
        one, two, three = unsorted
        assert standing(project) == {(one.pk, "tea", "open"), (two.pk, "tea", "open"), (one.pk, "bus", "open")}
        assert [tags(prompt) for prompt in unsorted] == [[], [], []]
        found = suggestions.of_prompts([prompt.pk for prompt in unsorted])
        assert [(each.tag, each.percent) for each in found[one.pk]] == [("tea", 93), ("bus", 41)]
        assert of(one, "tea").model_version == classifier
        assert three.pk not in found

    def test_an_accepted_one_becomes_a_tag_and_who_accepted_it_is_on_record(self, project, alice, classifier, unsorted):
        one, two, _ = unsorted
        chosen = [of(one, "tea").pk, of(two, "tea").pk, of(one, "bus").pk]
        assert suggestions.accept(project=project, suggestions=chosen, actor=alice.person) == 3
        assert (sorted(tags(one)), tags(two)) == (["bus", "tea"], ["tea"])
        assert {(row.state, row.decided_by) for row in TagSuggestion.objects.all()} == {("accepted", alice.person)}
        event = Event.objects.filter(verb="tags changed", data__tag="tea").get()
        assert (event.actor, event.data["prompts"]) == (alice.person, [one.pk, two.pk])
        assert suggestions.accept(project=project, suggestions=chosen, actor=alice.person) == 0

    def test_a_tag_that_was_imported_with_a_space_before_it_is_accepted_without(self, project, alice, classifier):
        prompt = a_prompt(project, "Chai?")
        row = TagSuggestion.objects.create(
            project=project, prompt=prompt, tag=" tea", confidence=0.9, model_version=classifier, run=classifier.run
        )
        suggestions.accept(project=project, suggestions=[row.pk], actor=alice.person)
        row.refresh_from_db()
        assert (tags(prompt), row.state) == (["tea"], "accepted")

    def test_undoing_the_change_opens_it_again(self, project, alice, classifier, unsorted):
        one = unsorted[0]
        suggestions.accept(project=project, suggestions=[of(one, "tea").pk], actor=alice.person)
        undone = bulk.undo(change=BulkChange.objects.get(), actor=alice.person)
        bulk.go_on(change_id=undone.pk)
        assert tags(one) == []
        assert (of(one, "tea").state, of(one, "tea").decided_by) == ("open", None)

    def test_putting_the_tag_on_by_hand_accepts_and_taking_it_off_dismisses(self, project, alice, classifier, unsorted):
        one, two, _ = unsorted
        prompts = [one.pk, two.pk]
        bulk.start(project=project, actor=alice.person, prompts=prompts, add_tags=["tea"])
        assert {of(prompt, "tea").state for prompt in (one, two)} == {"accepted"}
        bulk.start(project=project, actor=alice.person, prompts=[two.pk], remove_tags=["tea"])
        assert (of(one, "tea").state, of(two, "tea").state, of(one, "bus").state) == ("accepted", "dismissed", "open")

    def test_what_was_dismissed_does_not_come_back_whichever_model_suggests_it(
        self, project, alice, classifier, unsorted
    ):
        one, two, three = unsorted
        assert suggestions.dismiss(project=project, suggestions=[of(one, "tea").pk], actor=alice.person) == 1
        assert Event.objects.get(verb="tags dismissed").data == {"tag": "tea", "prompts": [one.pk]}
        later = classified(project, tea={one.pk: 0.99, two.pk: 0.7, three.pk: 0.8})
        assert (of(one, "tea").state, of(one, "tea").model_version) == ("dismissed", classifier)
        assert (of(two, "tea").model_version, of(two, "tea").confidence) == (later, 0.7)
        assert of(three, "tea").model_version == later
        assert suggestions.dismiss(project=project, suggestions=[of(one, "tea").pk], actor=alice.person) == 0

    def test_a_later_model_that_suggests_no_such_tag_takes_the_earlier_word_back(self, project, classifier, unsorted):
        later = classified(project, tea={unsorted[2].pk: 0.8})
        assert standing(project) == {(unsorted[2].pk, "tea", "open")}
        assert TagSuggestion.objects.filter(model_version=classifier, state="replaced").count() == 3
        assert later.tag_suggestions.count() == 1

    def test_only_one_suggestion_of_a_tag_stands(self, project, classifier, unsorted):
        again = {"prompt": unsorted[0], "tag": "tea", "run": classifier.run, "confidence": 0.5, "project": project}
        other = a_model(project, "other", kind=ModelKind.CLASSIFIER)
        with pytest.raises(IntegrityError, match="one_suggestion_of_a_tag_stands"), transaction.atomic():
            TagSuggestion.objects.create(model_version=other, **again)
        with pytest.raises(IntegrityError, match="suggested_once_by_a_model"), transaction.atomic():
            TagSuggestion.objects.create(model_version=classifier, state="replaced", **again)

    def test_a_tag_that_a_prompt_was_given_meanwhile_is_not_suggested(self, project, base, sorted_prompts, unsorted):
        run = tuning.tune(project=project, method="classify", wake=False)
        Prompt.objects.filter(pk=unsorted[0].pk).update(tags=["tea"])
        lines = [{"id": unsorted[0].pk, "tag": tag, "confidence": 0.9} for tag in ("tea", "bus")]
        succeeds(run, lines, by_tag=by_tag("bus", "tea"))
        assert standing(project) == {(unsorted[0].pk, "bus", "open")}

    def test_a_tag_with_an_end_of_line_in_it_is_read_as_it_was_written(self, project, base, sorted_prompts, unsorted):
        tag = "tea\u2028bus"
        run = tuning.tune(project=project, method="classify", wake=False)
        claimed(run).folder.mkdir(parents=True)
        line = {"id": unsorted[0].pk, "tag": tag, "confidence": 0.9}
        path = run.folder / "suggestions.jsonl"
        path.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
        run.refresh_from_db()
        made = a_model(project, "tags", kind=ModelKind.CLASSIFIER, run=run)
        assert suggestions.take_in(run=run, version=made, path=path) == 1
        assert of(unsorted[0], tag).confidence == 0.9

    def test_who_decides_and_who_changes_tags_lock_in_one_order(
        self, project, alice, classifier, unsorted, django_assert_max_num_queries
    ):
        """First prompts, then suggestions: else each could wait for the other."""
        for decide in (suggestions.dismiss, suggestions.accept):
            chosen = [of(unsorted[0], "bus" if decide is suggestions.accept else "tea").pk]
            with django_assert_max_num_queries(40) as asked:
                decide(project=project, suggestions=chosen, actor=alice.person)
            locked = [one["sql"] for one in asked.captured_queries if " FOR " in one["sql"]]
            assert ('FROM "annotation_prompt"' in locked[0], 'FROM "training_tagsuggestion"' in locked[1]) == (
                True,
                True,
            )

    def test_too_many_at_once_are_refused(self, project, alice):
        with pytest.raises(ValidationError, match="500"):
            suggestions.accept(project=project, suggestions=range(501), actor=alice.person)

    def test_a_model_whose_suggestions_are_on_record_stays(self, project, classifier):
        from training import registry

        with pytest.raises(ValidationError, match="3 tag suggestions"):
            registry.delete(version=classifier)


class TestAskingAgain:
    def test_it_reads_what_it_has_not_read(self, project, classifier):
        new = a_prompt(project, "And now?")
        a_prompt(project, "Tea again?", tags=["tea"])
        run = suggestions.ask(version=classifier, wake=False)
        assert (run.method, run.base) == ("suggest", classifier)
        assert [row["id"] for row in run.inputs["untagged"]] == [new.pk]
        succeeds(run, [{"id": new.pk, "tag": "tea", "confidence": 0.8}])
        assert of(new, "tea").run == run
        with pytest.raises(ValidationError, match="was read already"):
            suggestions.ask(version=classifier)

    def test_what_a_run_was_given_that_did_not_end_well_was_not_read(self, project, classifier):
        new = a_prompt(project, "And now?")
        fails(suggestions.ask(version=classifier, wake=False))
        run = suggestions.ask(version=classifier, wake=False)
        assert [row["id"] for row in run.inputs["untagged"]] == [new.pk]
        with pytest.raises(ValidationError, match="was read already"):
            suggestions.ask(version=classifier)
        runs.cancel(run=run)
        assert suggestions.ask(version=classifier, wake=False)

    def test_what_is_read_once_more_stands_again(self, project, classifier):
        new = a_prompt(project, "And now?")
        said = [{"id": new.pk, "tag": "tea", "confidence": 0.8}]
        first = succeeds(suggestions.ask(version=classifier, wake=False), said)
        later = classified(project, tea={new.pk: 0.6})
        assert of(new, "tea").model_version == later
        succeeds(reproducing.repeat(run=first, wake=False), said)
        assert (of(new, "tea").model_version, of(new, "tea").state) == (classifier, "open")

    def test_only_of_a_model_that_was_trained_on_tags(self, project, base):
        imported = a_model(project, "toxic", kind=ModelKind.CLASSIFIER)
        for version in (base, imported):
            with pytest.raises(ValidationError, match="not trained on tags"):
                suggestions.ask(version=version)


class TestPages:
    @pytest.fixture
    def lead(self, client, alice):
        client.force_login(alice.person)
        return client

    @pytest.fixture
    def say(self, lead):
        def send(**sent):
            return lead.post(reverse("decide_tags", args=["desk"]), sent, follow=True)

        return send

    def test_leads_see_them_where_tags_are_and_find_prompts_by_them(self, lead, client, member, classifier, unsorted):
        page = lead.get(PAGE, {"suggested": "tea"}).content.decode()
        assert "suggested: tea 93&nbsp;%" in page
        assert "Accept tea for prompt" in page
        assert 'value="tea"' in page  # of the tags to put on
        found = lead.get(PAGE, {"suggested": "tea"}).context["found"].ids
        assert set(found) == {unsorted[0].pk, unsorted[1].pk}
        assert "bus 41&nbsp;%" in lead.get(reverse("browse_prompt", args=["desk", unsorted[0].pk])).content.decode()
        client.force_login(member("rita", "reviewer").person)
        assert "suggested: tea" not in client.get(PAGE).content.decode()
        assert client.get(PAGE, {"suggested": "bus"}).context["found"].total == 23

    @pytest.mark.parametrize("name", ["browse", "models", "runs"])
    def test_what_a_run_was_given_to_read_is_fetched_for_no_list(self, lead, classifier, name):
        """It may be thousands of prompts."""
        with CaptureQueriesContext(connection) as done:
            page = lead.get(reverse(name, args=["desk"]))
        assert page.status_code == 200
        assert not [one for one in done if '"inputs"' in one["sql"]]

    def test_one_is_accepted_or_dismissed_where_it_stands(self, say, unsorted, classifier, alice):
        one = unsorted[0]
        page = say(accept=of(one, "tea").pk, query="suggested=tea")
        assert page.redirect_chain[0][0] == f"{PAGE}?suggested=tea"
        assert "1 suggestion accepted." in page.content.decode()
        page = say(dismiss=of(one, "bus").pk, prompt=one.pk)
        assert page.redirect_chain[0][0] == reverse("browse_prompt", args=["desk", one.pk])
        assert (tags(one), of(one, "bus").decided_by) == (["tea"], alice.person)
        assert "decided already" in say(dismiss=of(one, "bus").pk).content.decode()

    def test_those_of_a_tag_are_dismissed_for_the_rows_that_are_ticked(self, say, unsorted, classifier):
        one, two, three = unsorted
        say(query="suggested=tea", row=[one.pk, two.pk, three.pk])
        assert {of(prompt, "tea").state for prompt in (one, two)} == {"dismissed"}
        assert of(one, "bus").state == "open"
        assert "Choose at least one row" in say(query="suggested=tea").content.decode()

    def test_the_model_page_shows_each_tag_and_asks_for_more(self, lead, project, classifier):
        page = lead.get(reverse("model", args=["desk", classifier.pk])).content.decode()
        assert "90 %" in page
        assert "2 suggested, to decide" in page
        assert "Measure it" not in page
        again = lead.post(reverse("suggest_tags", args=["desk", classifier.pk]), follow=True)
        assert "was read already" in again.content.decode()
        a_prompt(project, "And now?")
        asked = lead.post(reverse("suggest_tags", args=["desk", classifier.pk]), follow=True)
        assert asked.context["run"].method == "suggest"
        run = lead.get(reverse("run", args=["desk", classifier.run.pk]))
        assert "What it learned" in run.content.decode()

    def test_a_tag_that_is_chance_is_called_so_and_no_filter_offers_it(self, lead, project, base, sorted_prompts):
        run = tuning.tune(project=project, method="classify", wake=False)
        made = succeeds(run, [], by_tag=by_tag("bus") + by_tag("tea", learned=False)).model_version
        assert "No better than chance" in lead.get(reverse("model", args=["desk", made.pk])).content.decode()
        assert lead.get(PAGE, {"suggested": "tea"}).status_code == 422
        assert lead.get(PAGE, {"suggested": "bus"}).status_code == 200
