"""The OpenAPI document is complete and kept; the page and docs/api.md know every endpoint."""

import re
import shlex
from argparse import ArgumentParser
from pathlib import Path
from string import Template

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse

from annotation import labelling
from annotation.gold import Right, mark
from tests.annotation import making
from tests.annotation.making import a_comparison, a_demonstration, a_prompt
from tests.api.test_doors import ROUTES
from tests.evaluation.making import measured
from tests.training.making import a_classifier, a_model, a_preference
from training.models import TagSuggestion

KEPT = Path(__file__).with_name("openapi.yaml")
GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.search(r"echo '(.*?)' ", GUIDE)[1]  # type: ignore[index]  # a test would fail without it
SIGN_IN = '"username": "bob", "password": "bob-has-a-secret"'
MAKES = {  # what a call makes, for those that follow
    **{"/gold/": "GOLD", "/head-to-heads/": "MATCH", "/runs/": "RUN"},
    **{"/access-keys/": "KEY", "/webhooks/": "WEBHOOK", "/ping/": "DELIVERY", "/imports/": "IMPORT"},
    **{"/openai/v1/files": "FILE", "/fine_tuning/jobs": "JOB"},
}
REFRESH = "manage.py spectacular --fail-on-warn --validate --file tests/api/openapi.yaml"

curl = ArgumentParser(description="As much of curl as the guide uses.")
curl.add_argument("-s", action="store_true")
curl.add_argument("-o", dest="output")
curl.add_argument("-C", dest="goes_on_at")
curl.add_argument("-X", dest="request")
curl.add_argument("-H", dest="header", action="append", default=[])
curl.add_argument("-d", dest="data")
curl.add_argument("--data-binary")
curl.add_argument("-F", dest="form", action="append", default=[])
curl.add_argument("url")


def test_the_openapi_document_is_the_one_kept(tmp_path):
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", fail_on_warn=True, validate=True, file=str(made))
    assert made.read_text() == KEPT.read_text(), f"The API has changed: read the difference, then run {REFRESH}"


def test_the_document_and_the_page_are_for_those_who_are_signed_in(api, client, bob):
    assert api().get(reverse("schema")).status_code == 401
    assert api(bob).get(reverse("schema")).status_code == 200
    page = reverse("api_docs")
    assert page == "/api/docs/"
    assert client.get(page)["Location"] == f"{reverse('login')}?next={page}"
    client.force_login(bob.person)
    shown = client.get(page)
    assert shown.status_code == 200
    assert b"/static/drf_spectacular_sidecar/swagger-ui-dist/" in shown.content
    assert b"cdn." not in shown.content


def test_the_guide_names_every_endpoint():
    named = {
        re.sub(r"\$\w+|(?<=guidelines/)1", "{}", path) for path in re.findall(r"\$(?:HOST|DESK)(/[\w$/-]*)", GUIDE)
    }
    for _, route in ROUTES:
        path = "/" + re.sub(r"<\w+:\w+>", "{}", route.removeprefix("projects/<slug:slug>/"))
        assert path in named, f"docs/api.md shows no call of {route}"


def test_the_calls_of_the_guide_work(api, world, alice, bob, project, tmp_path):
    """Each curl call in docs/api.md, in order, as the person whose token it sends."""
    a_comparison(project)
    a_comparison(project)
    a_demonstration(project)
    a_preference(bob, a_prompt(project, split="heldout"))
    reward = a_model(project, "reward", kind="reward")
    asked = a_prompt(project, split="heldout")
    measured(world.tuned, {asked.pk: ("One answer.", "Another.")})
    classifier = a_classifier(project, world.base, "tea")
    suggestion = TagSuggestion.objects.create(
        project=project, prompt=world.prompt, tag="tea", model_version=classifier, run=classifier.run, confidence=0.93
    )
    values = {
        **{"CLASSIFIER": classifier.pk, "SUGGESTION": suggestion.pk},
        **{"HOST": "/api/v1", "DESK": "/api/v1/projects/desk", "TOKEN": "bob", "LEAD": "alice"},
        **{"LABEL": world.label.pk, "PERSON": bob.person_id, "SNAPSHOT": world.snapshot.pk, "MODEL": world.tuned.pk},
        **{"RESPONSE": world.new_answer.pk, "ROUND": 2, "REWARD": reward.pk, "TEAM": world.team.pk},
        **{"INVITATION": world.invitation.pk, "INVITED": world.invitation.token},
        **{"COMMENT": world.flag.pk, "NOTICE": world.notice.pk, "FIRST_LABEL": world.first_label.pk},
        "FAILED_IMPORT": world.source.pk,
        **{"PROMPT": world.prompt.pk, "VIEW": world.view.pk, "CHANGE": world.change.pk},
        **{"FILE": world.job.training_file.key, "JOB": world.job.key, "NAME": world.base.name},
        **{"EXPORT": world.export.pk, "PARAPHRASE": world.paraphrase.pk},
        **{"ITEM": a_demonstration(project).pk, "DONE": world.run.pk, "BASE": world.base.pk},
        **{"OTHER": world.snapshot.pk, "RECIPE": world.recipe.pk, "FREEZING": world.freezing.pk},
        "JUDGE": a_model(project, "critic", format="endpoint").pk,
        "TOXIC": a_model(project, "toxic", kind="classifier", card={"labels": ["toxic", "praise"]}).pk,
        "GOLD_LABEL": _told_afterwards(project, bob).pk,
    }
    calls = [
        line
        for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.S)
        for line in re.sub(r"\\\n|\n +", " ", block).splitlines()
        if line.startswith("curl ")
    ]
    assert len(calls) > 35
    rows = re.search(r"<<'END'\n(.*?)END\n", GUIDE, re.S)
    assert rows is not None
    for call in calls:
        call = call.replace('"username": "NAME", "password": "PASSWORD"', SIGN_IN)
        asked = curl.parse_args(shlex.split(Template(call).substitute(values))[1:])
        headers = dict(header.split(": ", 1) for header in asked.header)
        who = {"bob": bob, "alice": alice}.get(headers.get("Authorization", "").partition(" ")[2])
        body = rows[1] if asked.data_binary else asked.data or ""
        method = asked.request or ("POST" if body else "GET")
        content_type = headers.get("Content-Type", "application/json")
        if asked.form:
            form = dict(part.split("=") for part in asked.form)
            form["file"] = SimpleUploadedFile("examples.jsonl", EXAMPLES.encode())
            method, content_type, body = "POST", MULTIPART_CONTENT, encode_multipart(BOUNDARY, form)
        more = {name: value for name, value in headers.items() if name not in ("Authorization", "Content-Type")}
        answer = api(who).generic(method, asked.url, body, content_type=content_type, headers=more)
        if asked.url.endswith("/chat/completions"):  # nobody serves models here
            assert answer.status_code == 503, (call, answer.content)
            continue
        assert answer.status_code < 300, (call, answer.content)
        if asked.url.endswith("/next/"):
            values["ASSIGNMENT"] = answer.json()["assignment"]["id"]
        for ending, name in MAKES.items():
            if asked.url.partition("?")[0].endswith(ending) and method == "POST":
                values[name] = answer.json()["id"]


def _told_afterwards(project, bob):
    """bob's label on gold, in a project that tells people what was right."""
    project.gold_feedback = True
    project.save()
    known = mark(item=a_demonstration(project), right=Right(verdicts=["accept"]))
    return labelling.submit(assignment=making.asked(known, bob), said=labelling.Said(verdict="accept"))
