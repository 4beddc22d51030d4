"""A person's access keys: what programs of theirs may do, and for how long."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from annotation import access, accesskeys
from annotation.doors import SIGNED_IN, door
from annotation.keyforms import AccessKeyForm
from annotation.requests import Request


@never_cache
@door(SIGNED_IN, "GET", "POST")
def access_keys(request: Request) -> HttpResponse:
    """One's keys, and a form for another; the page that follows the form shows its secret, once."""
    form = AccessKeyForm(request.POST or None, person=request.user)
    made = secret = None
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = accesskeys.make(owner=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
    keys = list(request.user.access_keys.select_related("project"))
    context = {
        "made": made,
        "secret": secret,
        "form": AccessKeyForm(person=request.user) if made else form,
        "working": [key for key in keys if not key.why_closed],
        "closed": [key for key in keys if key.why_closed],
    }
    return render(request, "annotation/access_keys.html", context, status=422 if form.errors else 200)


@door(SIGNED_IN, "POST", own=True)
def revoke_access_key(request: Request, pk: int) -> HttpResponse:
    key = access.access_key(request.user, pk)
    if accesskeys.revoke(key=key, actor=request.user):
        messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("access_keys")
