"""The domain of room 3."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from pgvector.django import VectorField

from annotation.models import Project, Response, User
from evaluation.surface import NAMES
from training.methods.answers import FEATURES_WIDTH
from training.models import ModelVersion, Run, Snapshot


class Evaluation(models.Model):
    """One model version measured, on held-out data or by public suites; its figures are `Score` rows."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="evaluations")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    kind = models.CharField(max_length=32)
    run = models.OneToOneField(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="evaluation")
    details = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} of {self.model_version}"


class Score(models.Model):
    """A figure with the count behind it and its 95 % interval; of everything, or of one `group` ("language: de")."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="scores")
    name = models.CharField(max_length=64)
    group = models.CharField(max_length=80, blank=True)
    value = models.FloatField()
    lower = models.FloatField(null=True, blank=True)
    upper = models.FloatField(null=True, blank=True)
    n = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["evaluation", "name", "group"], name="score_once_per_group")]

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f} (n {self.n})"


class Reward(models.Model):
    """What a reward model thinks of a response, in its own units; only differences within a prompt mean anything."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="rewards")
    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="rewards")
    value = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model_version", "response"], name="one_reward_per_model_and_answer")
        ]

    def __str__(self) -> str:
        return f"{self.value:+.3f}"


class GatePolicy(models.Model):
    """What a project asks of a new model before it may become the production model; an empty limit asks nothing."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="gate_policy")
    min_accuracy = models.FloatField(
        "Agreement with people",
        default=0.5,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="On judged held-out pairs the model must prefer the answer that people preferred more often than "
        "this (0.5 is tossing a coin), with 95 % certainty.",
    )
    min_win_rate = models.FloatField(
        "Blind comparisons won",
        default=0.5,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="People must prefer its answers to the present model's more often than this, with 95 % certainty, "
        "and also once length is taken out.",
    )
    max_forgetting = models.FloatField(
        "Forgetting",
        default=0.1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text="How much more surprised than the base model it may be by general questions and plain text; 0.1 is "
        "one tenth.",
    )
    max_length_growth = models.FloatField(
        "Longer answers",
        default=0.15,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text="How much longer its answers may be than the present model's on the same prompts; 0.15 is 15 %.",
    )
    blind_prompts = models.PositiveIntegerField(
        "Blind comparisons for each round",
        default=50,
        null=True,
        blank=True,
        validators=[MaxValueValidator(1000)],
        help_text="The new and the present model answer so many held-out prompts, and people choose between the "
        "answers in the ordinary queue without knowing, unless the new one has failed already. Ends by itself once "
        "enough is said. Empty asks nobody.",
    )
    max_distance = models.FloatField(
        "Distance from the base model",
        default=1.0,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="How far it may have moved from the base model (Kullback-Leibler divergence in nats for each token "
        "of its answers). At 1 its choice of the next word is a very different one.",
    )

    class Meta:
        verbose_name_plural = "gate policies"

    def __str__(self) -> str:
        return f"Gate of {self.project}"


class HeadToHead(models.Model):
    """People choose blindly between two models' answers to the same held-out prompts (evaluation/head_to_head.py)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="head_to_heads")
    champion = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="matches_defended")
    challenger = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="matches_challenged")
    champion_run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="+")
    challenger_run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="+")
    identical = models.PositiveIntegerField(
        null=True, editable=False, help_text="Prompts both answered alike; empty until the answers are there."
    )
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["champion", "challenger"],
                condition=Q(ended_at__isnull=True),
                name="one_open_match_between_two_models",
            ),
            models.CheckConstraint(condition=~Q(champion=F("challenger")), name="match_between_two"),
        ]

    def __str__(self) -> str:
        return f"{self.challenger} against {self.champion}"


class Step(models.TextChoices):
    COLLECTING = "collecting", "Collecting labels"
    FREEZING = "freezing", "Freezing data"
    SFT = "sft", "Supervised fine-tuning"
    REWARD = "reward", "Reward model"
    DPO = "dpo", "Preference tuning"
    EVALUATING = "evaluating", "Evaluating"
    GATED = "gated", "At the gate"
    SAMPLING = "sampling", "Sampling new answers"
    SELECTING = "selecting", "Choosing what to ask"
    DONE = "done", "Done"


class RoundStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    DONE = "done", "Done"


class RoundQuerySet(models.QuerySet["Round"]):
    def active(self) -> "RoundQuerySet":
        return self.filter(status=RoundStatus.ACTIVE)


class Round(models.Model):
    """One turn of the loop. Each step is done once, however often `advance` is called (evaluation/rounds.py)."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="rounds")
    number = models.PositiveIntegerField()
    step = models.CharField(max_length=16, choices=Step, default=Step.COLLECTING)
    status = models.CharField(max_length=16, choices=RoundStatus, default=RoundStatus.ACTIVE)
    settings = models.JSONField(default=dict, blank=True)
    champion = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_defended"
    )
    challenger = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_challenged"
    )
    reward_model = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_judged"
    )
    snapshots = models.ManyToManyField(Snapshot, blank=True, related_name="rounds")
    error = models.TextField(blank=True)
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RoundQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_number_once_per_project"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(status="active"), name="one_active_round_per_project"
            ),
            models.CheckConstraint(condition=Q(step__in=Step.values), name="round_step_known"),
            models.CheckConstraint(condition=Q(status__in=RoundStatus.values), name="round_status_known"),
        ]

    def __str__(self) -> str:
        return f"Round {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("round", args=[self.project.slug, self.number])


class StepStatus(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"


class RoundStep(models.Model):
    """What became of one step of one round; its runs hang here, by purpose."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=16, choices=Step)
    status = models.CharField(max_length=16, choices=StepStatus, default=StepStatus.RUNNING)
    detail = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["round", "name"], name="step_once_per_round")]

    def __str__(self) -> str:
        return f"{self.get_name_display()} of {self.round}"


class StepRun(models.Model):
    """A run that a step asked for; unique by purpose, so that a step asked twice starts it once."""

    step = models.ForeignKey(RoundStep, on_delete=models.CASCADE, related_name="step_runs")
    purpose = models.CharField(max_length=32)
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="step_run")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["step", "purpose"], name="run_once_per_purpose")]

    def __str__(self) -> str:
        return f"{self.purpose}: {self.run}"


class AnswerFeatures(models.Model):
    """An answer in numbers: what is seen of it at once, and what a model makes of it once that has read it."""

    response = models.OneToOneField(Response, on_delete=models.CASCADE, primary_key=True, related_name="features")
    surface = VectorField(dimensions=len(NAMES))
    states = VectorField(dimensions=FEATURES_WIDTH, null=True, blank=True)
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="features", help_text="Who read it."
    )

    class Meta:
        verbose_name_plural = "answer features"
        constraints = [
            models.CheckConstraint(
                condition=Q(states__isnull=True, model_version__isnull=True)
                | Q(states__isnull=False, model_version__isnull=False),
                name="states_are_somebodys",
            )
        ]

    def __str__(self) -> str:
        return f"features of answer {self.response_id}"


class Aim(models.TextChoices):
    """What a project's next comparisons are chosen for."""

    KNOWING = "knowing", "to know people's taste"
    TUNING = "tuning", "to tune the model"


class Steering(models.Model):
    """How a project's queue was last put in order by what people said (evaluation/steering.py)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="steering")
    aim = models.CharField(
        max_length=8,
        choices=Aim,
        default=Aim.KNOWING,
        db_default=Aim.KNOWING,
        help_text="What comparisons are chosen for: to know people's taste, or to tune the model.",
    )
    started_at = models.DateTimeField(null=True, blank=True, help_text="When somebody last took this on.")
    made_at = models.DateTimeField(null=True, blank=True)
    seen = models.BigIntegerField(default=0, help_text="The newest label at the time.")
    report = models.JSONField(default=dict, blank=True, help_text="Counts, and what choosing has saved.")

    def __str__(self) -> str:
        return f"steering of {self.project}"


class RoundPolicy(models.Model):
    """When a project's next round starts by itself (evaluation/starting.py)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="round_policy")
    enabled = models.BooleanField(
        "Start rounds by itself", default=False, help_text="Otherwise it only says when it would."
    )
    new_labels = models.PositiveIntegerField(
        "New comparisons to wait for",
        default=100,
        validators=[MinValueValidator(1)],
        help_text="As many must have been judged since the last round began.",
    )
    minimum_agreement = models.FloatField(
        "Least agreement",
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of cases in which two people who judge the same pair must say the same, from 0 to 1. "
        "0 starts without anything judged twice.",
    )
    cooldown_hours = models.FloatField(
        "Hours between two rounds",
        default=12,
        validators=[MinValueValidator(0), MaxValueValidator(24 * 365)],
        help_text="From the end of the last one.",
    )
    label_budget = models.PositiveIntegerField(
        "Budget in labels",
        null=True,
        blank=True,
        help_text="No round starts once so many comparisons are judged. Empty for no limit.",
    )
    minutes_budget = models.PositiveIntegerField(
        "Budget in minutes of computing",
        null=True,
        blank=True,
        help_text="No round starts once the project's runs have taken so long together. Empty for no limit.",
    )

    class Meta:
        verbose_name_plural = "round policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(new_labels__gte=1, minimum_agreement__gte=0, minimum_agreement__lte=1)
                & Q(cooldown_hours__gte=0),
                name="round_policy_in_range",
            )
        ]

    def __str__(self) -> str:
        return f"round policy of {self.project}"
