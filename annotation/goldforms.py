"""The forms of gold: what is right, and the project's rules. They validate and never write."""

from collections import Counter
from collections.abc import Iterator
from statistics import mean
from typing import Any

from django import forms

from annotation.gold import Right, right_answer
from annotation.models import Gold, Item, Judgement, Label, Project, Response
from annotation.models.items import Kind
from annotation.models.labels import Verdict
from annotation.percentfield import PercentField


class GoldForm(forms.Form):
    """The right answer to one item. A comparison has a rank and a mark for each answer, a demonstration verdicts."""

    explanation = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Why. People read it after they have answered, if the project tells them. Markdown.",
    )
    quiz = forms.BooleanField(
        required=False,
        label="A question of the entry quiz",
        help_text="Asked of new annotators, and not mixed into the work.",
    )

    def __init__(self, item: Item, data: Any = None, **more: Any) -> None:
        super().__init__(data, **more)
        self.item = item
        self.responses = list(item.responses.order_by("item_answers__order")) if item.kind == Kind.COMPARISON else []
        if item.kind == Kind.DEMONSTRATION:
            self.fields["verdicts"] = forms.MultipleChoiceField(
                choices=Verdict.choices if item.responses.exists() else Verdict.choices[1:],
                label="Right are",
                widget=forms.CheckboxSelectMultiple,
                error_messages={"required": "Tick at least one verdict that is right."},
            )
        ranks = [(place, str(place)) for place in range(1, len(self.responses) + 1)]
        for response in self.responses:
            self.fields[f"rank_{response.pk}"] = forms.TypedChoiceField(choices=ranks, coerce=int, label="Rank")
            self.fields[f"bad_{response.pk}"] = forms.BooleanField(required=False, label="Unacceptable")

    def tells_what_is_right(self) -> bool:
        return any(name in self.data for name in self.fields if name not in ("explanation", "quiz"))

    def fix_what_is_right(self) -> None:
        """It stays as it was, and what else was sent is not shown."""
        for name in self.fields.keys() - {"explanation", "quiz"}:
            self.fields[name].disabled = True

    def answers(self) -> Iterator[tuple[Response, Any, Any]]:
        """Each answer with its two fields, for the page."""
        return ((one, self[f"rank_{one.pk}"], self[f"bad_{one.pk}"]) for one in self.responses)

    def said(self) -> dict[str, Any]:
        data = self.cleaned_data
        right = Right(
            verdicts=data.get("verdicts", ()),
            ranks={one.pk: data[f"rank_{one.pk}"] for one in self.responses},
            unacceptable=[one.pk for one in self.responses if data[f"bad_{one.pk}"]],
        )
        explanation = data["explanation"].replace("\r\n", "\n")
        return {"right": right, "explanation": explanation, "quiz": data["quiz"]}

    @staticmethod
    def initial_of(gold: Gold) -> dict[str, Any]:
        known = {"explanation": gold.explanation, "quiz": gold.quiz}
        return known | _fields(right_answer(gold), [int(pk) for pk in gold.ranks])

    @staticmethod
    def as_people_said(item: Item) -> dict[str, Any]:
        """The most frequent verdict, or the answers by their mean rank, as a start."""
        labels = Label.objects.live().filter(item=item)
        if item.kind == Kind.DEMONSTRATION:
            found = Counter(labels.values_list("verdict", flat=True)).most_common(1)
            return {"verdicts": [found[0][0]]} if found else {}
        judged: dict[int, list[tuple[int, bool]]] = {}
        for pk, rank, bad in Judgement.objects.filter(label__in=labels).values_list(
            "response_id", "rank", "unacceptable"
        ):
            judged.setdefault(pk, []).append((rank, bad))
        means = {pk: mean(rank for rank, _ in said) for pk, said in judged.items()}
        places = sorted(set(means.values()))
        disliked = [pk for pk, said in judged.items() if sum(marked for _, marked in said) * 2 > len(said)]
        ranks = {pk: places.index(value) + 1 for pk, value in means.items()}
        return _fields(Right(ranks=ranks, unacceptable=disliked), list(ranks))


def _fields(right: Right, responses: list[int]) -> dict[str, Any]:
    values: dict[str, Any] = {"verdicts": list(right.verdicts)} if right.verdicts else {}
    for pk in responses:
        values |= {f"rank_{pk}": right.ranks[pk], f"bad_{pk}": pk in right.unacceptable}
    return values


class GoldRulesForm(forms.Form):
    """The project's rules for gold, as `gold.set_rules` takes them."""

    gold_share = PercentField(
        most=50, label="Share of gold, in %", help_text="Of the items people are given; 0 mixes none in."
    )
    gold_feedback = forms.BooleanField(
        required=False, label="Tell people afterwards whether they were right", help_text="With your explanation."
    )
    gold_threshold = PercentField(
        most=100,
        label="Pause below, in %",
        help_text="Who is right less often is paused and you are told; 0: nobody.",
    )
    gold_minimum = forms.IntegerField(
        min_value=1, max_value=1000, label="After how many answers", help_text="Gold answered before anybody is paused."
    )
    quiz_length = forms.IntegerField(
        min_value=0, max_value=100, label="Questions in the entry quiz", help_text="For new annotators; 0: no quiz."
    )
    quiz_threshold = PercentField(
        most=100, label="Pass the quiz with, in %", help_text="Who gets fewer right is paused and you are told."
    )

    @classmethod
    def initial_of(cls, project: Project) -> dict[str, Any]:
        return {name: getattr(project, name) for name in cls.base_fields}
