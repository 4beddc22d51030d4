"""What a newcomer meets first must lead on: a round can learn from the demonstration's comparisons."""

from annotation.importing import import_lines
from annotation.models import Project
from annotation.models.prompts import Split
from config import demo


def test_the_first_comparisons_are_there_to_learn_from_and_some_to_measure_with(db: None) -> None:
    project = Project.objects.create(slug="desk", name="Desk", heldout_share=demo.HELDOUT_SHARE)
    with (demo.CONTENT / "prompts.jsonl").open("rb") as lines:
        import_lines(project=project, lines=lines)
    asked = demo.prompts_to_answer(project)
    splits = dict(project.prompts.values_list("pk", "split"))
    assert sorted(asked) == sorted(splits)
    for number in range(demo.BATCHES):
        batch = asked[number * demo.PROMPTS_PER_BATCH : (number + 1) * demo.PROMPTS_PER_BATCH]
        train = sum(splits[pk] == Split.TRAIN for pk in batch)
        assert demo.PROMPTS_PER_BATCH / 2 <= train < demo.PROMPTS_PER_BATCH
