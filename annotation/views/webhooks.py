"""The leads' pages about webhooks: which servers are told what, and how that went."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import access
from annotation import webhooks as verbs
from annotation.doors import door
from annotation.keyforms import ChangeWebhookForm, WebhookForm
from annotation.models import Membership, Webhook
from annotation.models.people import Role
from annotation.models.webhooks import DeliveryState
from annotation.requests import Request
from annotation.views import place

DELIVERIES_A_PAGE = 25


@never_cache
@door(Role.LEAD, "GET", "POST")
def webhooks(request: Request, slug: str) -> HttpResponse:
    """All webhooks of a project, and a form for another; the page that follows it shows the secret, once."""
    lead = access.membership(request.user, slug)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = verbs.make(project=lead.project, actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _one(request, lead, made, ChangeWebhookForm(webhook=made), secret=made.secret)
    rows = [(hook, hook.deliveries.first()) for hook in lead.project.webhooks.select_related("author")]
    context = {**place(lead), "rows": rows, "form": form}
    return render(request, "annotation/webhooks.html", context, status=422 if form.errors else 200)


@never_cache
@door(Role.LEAD, "GET", "POST")
def webhook(request: Request, slug: str, pk: int) -> HttpResponse:
    """One webhook: what may be changed, and the log of its deliveries."""
    found, lead = access.webhook(request.user, slug, pk)
    form = ChangeWebhookForm(request.POST or None, webhook=found)
    if request.method == "POST" and form.is_valid():
        try:
            verbs.change(webhook=found, actor=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "Saved.")
            return redirect("webhook", slug, pk)
    return _one(request, lead, found, form)


def _one(
    request: Request, lead: Membership, found: Webhook, form: ChangeWebhookForm, secret: str | None = None
) -> HttpResponse:
    before = request.GET.get("before", "")
    rows = found.deliveries.all()
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: DELIVERIES_A_PAGE + 1])
    older = shown[DELIVERIES_A_PAGE - 1].pk if len(shown) > DELIVERIES_A_PAGE else None
    context: dict[str, Any] = {
        **place(lead),
        **{"webhook": found, "form": form, "secret": secret, "deliveries": shown[:DELIVERIES_A_PAGE], "older": older},
        "waiting": found.deliveries.filter(state=DeliveryState.WAITING).count(),
        "before": before,
    }
    return render(request, "annotation/webhook.html", context, status=422 if form.errors else 200)


@door(Role.LEAD, "POST")
def ping_webhook(request: Request, slug: str, pk: int) -> HttpResponse:
    found, _ = access.webhook(request.user, slug, pk)
    try:
        verbs.ping(webhook=found, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, "A test message is on its way: load this page again in a moment.")
    return redirect("webhook", slug, pk)


@never_cache
@door(Role.LEAD, "POST")
def renew_webhook_secret(request: Request, slug: str, pk: int) -> HttpResponse:
    """The new secret is on this page, once."""
    found, lead = access.webhook(request.user, slug, pk)
    secret = verbs.renew_secret(webhook=found, actor=request.user)
    return _one(request, lead, found, ChangeWebhookForm(webhook=found), secret=secret)


@door(Role.LEAD, "POST")
def delete_webhook(request: Request, slug: str, pk: int) -> HttpResponse:
    found, _ = access.webhook(request.user, slug, pk)
    verbs.delete(webhook=found, actor=request.user)
    messages.success(request, f"{found.url} is told nothing any more.")
    return redirect("webhooks", slug)


@door(Role.LEAD, "POST")
def send_again(request: Request, slug: str, pk: int, delivery: int) -> HttpResponse:
    verbs.send_again(delivery=access.delivery(request.user, slug, pk, delivery))
    messages.success(request, "It is sent again: load this page again in a moment.")
    return redirect("webhook", slug, pk)
