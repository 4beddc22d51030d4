"""A person's own keyboard shortcuts."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.doors import SIGNED_IN, door
from annotation.keys import ACTIONS, BOTH, COMPARISON, DEMONSTRATION, set_keys, shown
from annotation.requests import Request

GROUPS = (("On both pages", BOTH), ("Ranking answers", COMPARISON), ("Cleaning demonstrations", DEMONSTRATION))


@door(SIGNED_IN, "GET", "POST")
def keys(request: Request) -> HttpResponse:
    """Choose a key for each action, or go back to the usual ones."""
    chosen = dict(request.user.keys)
    problems: list[str] = []
    if request.method == "POST":
        usual = "usual" in request.POST
        chosen = {name: "" if usual else request.POST.get(name, "").strip() for name in ACTIONS}
        try:
            set_keys(person=request.user, chosen=chosen)
        except ValidationError as error:
            problems = error.messages
        else:
            messages.success(request, "Your keys are the usual ones again." if usual else "Your keys were saved.")
            return redirect("keys")
    groups = [
        {
            "title": title,
            "rows": [
                {"action": action, "value": chosen.get(action.name, ""), "usual": shown(action.keys[0])}
                for action in ACTIONS.values()
                if action.kinds == kinds
            ],
        }
        for title, kinds in GROUPS
    ]
    context = {"groups": groups, "problems": problems}
    return render(request, "annotation/keys.html", context, status=422 if problems else 200)
