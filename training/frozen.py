"""The leads' pages about snapshots and their recipes: gate, form, verb, render."""

from io import BufferedIOBase
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from annotation.doors import door
from annotation.models import Label, Membership
from annotation.models.people import Role
from annotation.requests import Request
from annotation.views import place
from training import access, staleness
from training.models import Freezing, ModelVersion, RecipeVersion, Snapshot
from training.models.snapshots import FreezeState
from training.recipeforms import RecipeFileForm, RecipeForm, SaveForm, recipe_of
from training.snapshots import asking, comparing, comparisons, files, freezing, outgoing, previewing, recipes, saving
from training.snapshots.recipes import Recipe
from training.snapshots.rules import Rule, words

PAGE, ROWS, CHANGES = 30, 20, 20
MOST_LISTED = 12
BIGGEST = 2**31
SORTS = {comparing.ADDED: "Added", comparing.REMOVED: "Removed", comparing.CHANGED: "Changed"}


@door(Role.LEAD, "GET")
def snapshots(request: Request, slug: str) -> HttpResponse:
    member = access.lead(request.user, slug)
    rows = member.project.snapshots.select_related("recipe", "created_by").prefetch_related("runs", "mixed_into__run")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    stale = staleness.of_snapshots(member.project)
    models: dict[int, list[ModelVersion]] = {}
    used = [run.pk for one in page for run in _runs(one)]
    for version in ModelVersion.objects.filter(run__in=used):
        models.setdefault(version.run_id or 0, []).append(version)
    context = {
        **place(member),
        "page": page,
        "rows": [
            {
                "snapshot": one,
                "words": words(Rule.model_validate(one.rule), one.kind),
                "runs": _runs(one),
                "models": [version for run in _runs(one) for version in models.get(run.pk, [])],
                "stale": one.pk in stale,
            }
            for one in page
        ],
        "asked": _asked(member),
        "recipes": _recipes(member),
        "file_form": RecipeFileForm(),
    }
    return render(request, "training/snapshots.html", context)


def _asked(member: Membership) -> QuerySet[Freezing]:
    """Snapshots that are being frozen, and those of which nothing came, until one of the kind is asked for again."""
    newest = member.project.freezings.order_by("kind", "-id").distinct("kind")
    failed = Q(state=FreezeState.FAILED, pk__in=newest.values("pk"))
    return member.project.freezings.filter(failed | Q(state__in=[FreezeState.WAITING, FreezeState.RUNNING]))[:5]


def _runs(snapshot: Snapshot) -> list[Any]:
    return [*snapshot.runs.all(), *(source.run for source in snapshot.mixed_into.all())]


def _recipes(member: Membership) -> list[dict[str, Any]]:
    """Each saved recipe by its newest version, with those before it."""
    by_name: dict[str, list[RecipeVersion]] = {}
    for one in member.project.recipes.select_related("created_by"):
        by_name.setdefault(one.name, []).append(one)
    return [
        {"newest": some[0], "earlier": some[1:], "words": words(recipe_of(some[0]).rule, some[0].kind)}
        for some in by_name.values()
    ]


@door(Role.LEAD, "GET", "POST")
def new_snapshot(request: Request, slug: str) -> HttpResponse:
    """A recipe to fill in: empty, a saved one, a snapshot's, or out of a file. It is looked at, saved or frozen."""
    member = access.lead(request.user, slug)
    if request.method == "GET":
        saved, recipe = _begun(member, request)
        form = RecipeForm(project=member.project, recipe=recipe)
        return _form_page(request, member, form, saved=saved)
    if "read" in request.POST:
        file_form = RecipeFileForm(request.POST, request.FILES)
        if not file_form.is_valid():
            messages.error(request, " ".join(str(one) for some in file_form.errors.values() for one in some))
            return redirect("snapshots", slug)
        form = RecipeForm(project=member.project, recipe=file_form.cleaned_data["file"])
        messages.info(request, "This is what the file says. Nothing is frozen yet.")
        return _form_page(request, member, form)
    form = RecipeForm(request.POST, project=member.project)
    if not form.is_valid():
        return _form_page(request, member, form)
    recipe, saved = form.recipe(), None
    try:
        if "preview" in request.POST:
            return _form_page(request, member, form, shown=_preview(member, recipe))
        if "save" in request.POST:
            save_form = SaveForm(request.POST)
            if not save_form.is_valid():
                form.add_error(None, "Give the recipe a name of up to 80 characters.")
                return _form_page(request, member, form)
            name = save_form.cleaned_data["name"]
            made = saving.save(
                project=member.project, name=name, kind=recipe.kind, rule=recipe.rule, actor=member.person
            )
            messages.success(request, f"Saved: {made}.")
            return redirect(f"{reverse('new_snapshot', args=[slug])}?recipe={made.pk}")
        saved = _saved(member, request.POST.get("recipe", ""), recipe)
        asked = asking.ask(
            project=member.project, kind=recipe.kind, rule=recipe.rule, recipe=saved, actor=member.person
        )
    except ValidationError as error:
        form.add_error(None, error)
        return _form_page(request, member, form)
    if asked.state == FreezeState.FAILED:
        form.add_error(None, asked.error)
        return _form_page(request, member, form)
    return _to(request, slug, asked)


def _begun(member: Membership, request: Request) -> tuple[RecipeVersion | None, Recipe | None]:
    """The recipe that the address names: a saved one's, or that of a snapshot."""
    if number := _number(request.GET.get("recipe")):
        saved = access.recipe(member, number)
        return saved, recipe_of(saved)
    if number := _number(request.GET.get("from")):
        _, snapshot = access.snapshot(member.person, member.project.slug, number)
        return None, Recipe(snapshot.kind, Rule.model_validate(snapshot.rule))
    return None, None


def _saved(member: Membership, number: str, recipe: Recipe) -> RecipeVersion | None:
    """The saved recipe that the form came from, if it is unchanged."""
    pk = _number(number)
    saved = RecipeVersion.objects.filter(project=member.project, pk=pk).first() if pk else None
    return saved if saved is not None and recipe_of(saved) == recipe else None


def _form_page(
    request: Request,
    member: Membership,
    form: RecipeForm,
    *,
    saved: RecipeVersion | None = None,
    shown: dict[str, Any] | None = None,
) -> HttpResponse:
    number = _number(request.POST.get("recipe"))
    if saved is None and number:
        saved = RecipeVersion.objects.filter(project=member.project, pk=number).first()
    context = {**place(member), "form": form, "saved": saved, **(shown or {})}
    return render(request, "training/new_snapshot.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "POST")
def preview_snapshot(request: Request, slug: str) -> HttpResponse:
    """What the form as it stands would come to: a part of the page, asked for whenever something changes."""
    member = access.lead(request.user, slug)
    form = RecipeForm(request.POST, project=member.project)
    context: dict[str, Any] = {"project": member.project, "form": form}
    if form.is_valid():
        try:
            context |= _preview(member, form.recipe())
        except ValidationError as error:
            form.add_error(None, error)
    return render(request, "training/_preview.html", context)


def _preview(member: Membership, recipe: Recipe) -> dict[str, Any]:
    found = previewing.preview(project=member.project, kind=recipe.kind, rule=recipe.rule)
    return {"preview": found, "words": words(recipe.rule, recipe.kind), "nothing": freezing.nothing(recipe)}


def _to(request: Request, slug: str, asked: Freezing) -> HttpResponse:
    """To the snapshot, if it is made, or to where one sees how far it is."""
    if asked.snapshot is None:
        return redirect("freezing", slug, asked.pk)
    rule = Rule.model_validate(asked.rule)
    messages.success(request, f"Frozen: {freezing.in_words(asked.snapshot, rule)}")
    return redirect("snapshot", slug, asked.snapshot.pk)


@never_cache
@door(Role.LEAD, "GET")
def freezing_page(request: Request, slug: str, pk: int) -> HttpResponse:
    """How far a snapshot is that was asked for. htmx asks again for the part that changes."""
    member, asked = access.freezing(request.user, slug, pk)
    if asked.state == FreezeState.DONE and "HX-Request" not in request.headers:
        return _to(request, slug, asked)
    context = {**place(member), "asked": asked, "words": words(Rule.model_validate(asked.rule), asked.kind)}
    if "HX-Request" not in request.headers:
        return render(request, "training/freezing.html", context)
    answer = render(request, "training/_freezing.html", context)
    if asked.state == FreezeState.DONE:
        answer["HX-Redirect"] = reverse("freezing", args=[slug, pk])
    return answer


@door(Role.LEAD, "GET")
def snapshot(request: Request, slug: str, pk: int) -> HttpResponse:
    """One snapshot: what it is made of, its rows from the file, and what became of it."""
    member, found = access.snapshot(request.user, slug, pk)
    total = found.counts.get("rows", 0)
    start = min(_number(request.GET.get("start")) or 0, max(0, total - 1))
    rows, trouble = _rows(found, start)
    runs = member.project.runs.filter(Q(snapshot=found) | Q(sources__snapshot=found))
    others = member.project.snapshots.filter(kind=found.kind).exclude(pk=found.pk)
    context = {
        **place(member),
        "snapshot": found,
        "words": words(Rule.model_validate(found.rule), found.kind),
        "other_words": [words(Rule.model_validate(one), found.kind) for one in found.other_rules],
        "recipe_text": recipes.written(Recipe(found.kind, Rule.model_validate(found.rule))),
        "stale": staleness.of_snapshot(found),
        "sources": _sources(found),
        "rows": rows,
        "trouble": trouble,
        "start": start,
        "last": start + len(rows),
        "before": max(0, start - ROWS) if start else None,
        "after": start + ROWS if start + ROWS < total else None,
        "runs": runs.distinct().select_related("model_version")[:MOST_LISTED],
        "others": others[:100],
        "shapes": outgoing.shapes(found.kind),
    }
    return render(request, "training/snapshot.html", context)


def _rows(found: Snapshot, start: int) -> tuple[list[dict[str, Any]], str]:
    """A page of rows by number; or what to do about the file."""
    try:
        rows = files.page(found, start, ROWS)
    except (OSError, ValueError):
        return [], "The file is gone or damaged. Freeze the same recipe again: the same rows are written anew."
    return [{"number": start + place, "row": row} for place, row in enumerate(rows)], ""


def _sources(found: Snapshot) -> list[tuple[str, list[tuple[str, int]]]]:
    """Its rows by language, tag and maker, the largest first, where there is something to tell."""
    by_maker = found.counts.get("made_by", {})
    names = dict(ModelVersion.objects.filter(pk__in=by_maker).values_list("pk", "name"))
    makers = {names.get(int(pk), f"model {pk}"): count for pk, count in by_maker.items()}
    if makers:
        makers["people"] = found.counts["rows"] - sum(by_maker.values())
    languages = {name or "unknown": count for name, count in found.counts.get("languages", {}).items()}
    groups = [("Languages", languages), ("Tags", found.counts.get("tags", {})), ("Made by", makers)]
    return [
        (title, sorted(counts.items(), key=lambda one: -one[1])[:MOST_LISTED])
        for title, counts in groups
        if counts and list(counts) != ["unknown"]
    ]


@door(Role.LEAD, "GET")
def snapshot_row(request: Request, slug: str, pk: int, number: int) -> HttpResponse:
    """One row, whole, with the labels behind it as they stand by now."""
    member, found = access.snapshot(request.user, slug, pk)
    try:
        rows = files.page(found, number, 1) if number < BIGGEST else []
    except (OSError, ValueError):
        messages.error(request, "The file is gone or damaged.")
        return redirect("snapshot", slug, pk)
    if not rows:
        raise Http404("No such row")
    labels = Label.objects.filter(project=member.project, pk__in=rows[0]["labels"]).select_related(
        "person", "item__prompt", "project", "superseded_by", "response"
    )
    context = {
        **place(member),
        "snapshot": found,
        "number": number,
        "row": rows[0],
        "labels": labels.prefetch_related("judgements").order_by("id"),
        "maker": ModelVersion.objects.filter(project=member.project, pk=rows[0].get("made_by") or 0).first(),
        "more": number + 1 < found.counts.get("rows", 0),
    }
    return render(request, "training/snapshot_row.html", context)


@door(Role.LEAD, "GET")
def snapshot_recipe(request: Request, slug: str, pk: int) -> HttpResponse:
    _, found = access.snapshot(request.user, slug, pk)
    recipe = Recipe(found.kind, Rule.model_validate(found.rule))
    return _recipe_file(request, recipe, outgoing.stem(found))


@door(Role.LEAD, "GET")
def recipe_file(request: Request, slug: str, pk: int) -> HttpResponse:
    saved = access.recipe(access.lead(request.user, slug), pk)
    return _recipe_file(request, recipe_of(saved), f"{slug}-recipe-{saved.pk}")


def _recipe_file(request: Request, recipe: Recipe, name: str) -> HttpResponse:
    form = "json" if request.GET.get("as") == "json" else "yaml"
    answer = HttpResponse(recipes.written(recipe, form), content_type=f"application/{form}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return answer


@door(Role.LEAD, "GET")
def snapshot_file(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """The rows in a shape that other tools read; as a Parquet file unless another is asked for."""
    member, found = access.snapshot(request.user, slug, pk)
    try:
        out = outgoing.take_out(snapshot=found, shape=request.GET.get("as", "parquet"), actor=member.person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("snapshot", slug, pk)
    except (OSError, ValueError):
        messages.error(request, "The file is gone. Freeze the same recipe again: the same rows are written anew.")
        return redirect("snapshot", slug, pk)
    return download(out)


def download(out: outgoing.Out) -> HttpResponseBase:
    """The file as an attachment: of its length where it lies on the disk, else in a stream."""
    if isinstance(out.content, BufferedIOBase):
        return FileResponse(out.content, as_attachment=True, filename=out.name, content_type=out.media_type)
    headers = {"Content-Disposition": f'attachment; filename="{out.name}"'}
    return StreamingHttpResponse(out.content, content_type=out.media_type, headers=headers)


@door(Role.LEAD, "POST")
def check_snapshot(request: Request, slug: str, pk: int) -> HttpResponse:
    _, found = access.snapshot(request.user, slug, pk)
    if files.is_intact(found):
        messages.success(request, "The file holds what was frozen: its rows have the hash of then.")
    else:
        messages.error(
            request, "The file is gone or has changed. Freeze the same recipe again to have it written anew."
        )
    return redirect("snapshot", slug, pk)


@never_cache
@door(Role.LEAD, "GET")
def compare_snapshots(request: Request, slug: str, pk: int) -> HttpResponse:
    """What this snapshot has, or says, that another has not; row by row. Of big ones, how far that is: htmx asks again
    for the part that changes."""
    member, second = access.snapshot(request.user, slug, pk)
    other = _number(request.GET.get("with"))
    first = access.snapshot(request.user, slug, other)[1] if other else None
    others = member.project.snapshots.filter(kind=second.kind).exclude(pk=second.pk)[:100]
    context: dict[str, Any] = {**place(member), "snapshot": second, "first": first, "others": others}
    if first is not None:
        try:
            found = comparisons.ask(first=first, second=second)
            if isinstance(found, comparing.Comparison):
                context |= _changes(request, found)
            else:
                context["asked"] = found
        except ValidationError as error:
            context["trouble"] = " ".join(error.messages)
    if "HX-Request" not in request.headers:
        return render(request, "training/compare_snapshots.html", context)
    if "asked" in context:
        return render(request, "training/_comparing.html", context)
    answer = HttpResponse()
    answer["HX-Refresh"] = "true"
    return answer


def _changes(request: Request, found: comparing.Comparison) -> dict[str, Any]:
    counts = found.counts()
    there = [what for what in SORTS if counts[what]]
    what = request.GET.get("what", "")
    what = what if what in SORTS else (there[0] if there else comparing.ADDED)
    start = min(_number(request.GET.get("start")) or 0, max(0, counts[what] - 1))
    try:
        changes = found.page(what, start, CHANGES)
    except (OSError, ValueError) as error:
        raise ValidationError("The file of one of them is gone or damaged: check both on their pages.") from error
    address: dict[str, str | int] = {"with": found.first.pk, "what": what}
    return {
        "counts": counts,
        "what": what,
        "tabs": [(name, title, counts[name]) for name, title in SORTS.items()],
        "changes": changes,
        "start": start,
        "last": start + len(changes),
        "before": urlencode({**address, "start": max(0, start - CHANGES)}) if start else "",
        "after": urlencode({**address, "start": start + CHANGES}) if start + CHANGES < counts[what] else "",
    }


def _number(text: str | None) -> int | None:
    """A number from an address; None if it is none, or larger than any row's."""
    if not text or not text.isascii() or not text.isdecimal() or len(text) > 10:
        return None
    return min(int(text), BIGGEST)
