"""A model that learned from labels turned round does not pass the gate; one that learned from them as they are does."""

import pytest

from evaluation import figures, gate, heldout, scoring
from evaluation.models import Evaluation, Score
from tests.training.making import a_model
from tests.training.recipes.runs import BAD, GOOD, questions, says, write_lines, write_parquet

SETTINGS = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 4, "warmup": 0.0}
ASKED = questions(36)  # the last twelve are held out
ABOUT = [{"prompt": number, "language": "en", "tags": [], "grade": "", "longer": 1.0} for number in range(12)]


@pytest.fixture(scope="module")
def heldout_texts(tmp_path_factory) -> str:
    texts = [
        {"id": f"pair {number} {side}", "messages": says("user", question), "text": text}
        for number, question in enumerate(ASKED[24:])
        for side, text in (("chosen", GOOD), ("rejected", BAD))
    ]
    return write_lines(tmp_path_factory.mktemp("heldout") / "texts.jsonl", texts)


def trained(new_run, tmp_path_factory, chosen: str, rejected: str) -> str:
    rows = [
        {"prompt": says("user", question), "chosen": says("assistant", chosen), "rejected": says("assistant", rejected)}
        for question in ASKED[:24]
    ]
    path = write_parquet(tmp_path_factory.mktemp("pairs") / "pairs.parquet", rows)
    return str(new_run("dpo", data={"train": path}, **SETTINGS).here().folder / "model")


@pytest.mark.django_db
@pytest.mark.parametrize(("chosen", "rejected", "outcome"), [(GOOD, BAD, "passed"), (BAD, GOOD, "failed")])
def test_the_gate_sees_what_the_labels_were(
    new_run, tmp_path_factory, heldout_texts, project, chosen, rejected, outcome
):
    adapter = trained(new_run, tmp_path_factory, chosen, rejected)
    run = new_run("measure", data={"texts": heldout_texts}, adapter=adapter).here()
    found = figures.of_policy(run.lines("measures.jsonl"), [], {"pair": ABOUT, "example": []}, heldout.probe())
    tuned = a_model(project, "tuned", format="adapter", parent=a_model(project, stage="production"))
    evaluation = Evaluation.objects.create(project=project, model_version=tuned, kind=scoring.MEASURES)
    Score.objects.bulk_create(Score(evaluation=evaluation, **vars(figure)) for figure in found)
    rows = {row.name: row for row in gate.verdict(tuned).rows}
    assert rows["Preference accuracy"].outcome == outcome
    assert (gate.verdict(tuned).outcome == "failed") == (outcome == "failed")
