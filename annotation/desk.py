"""The leads' desk: what every admin page of the product has in common.

A lead is a member of staff who leads a project. What they may see and do here comes from membership and not
from Django's permissions: rows of projects they do not lead are not found. Rows tell what happened and so are
read-only, unless a page says otherwise; a superuser is a lead everywhere.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django_htmx.http import HttpResponseClientRedirect
from unfold import widgets
from unfold.admin import ModelAdmin, TabularInline
from unfold.dataclasses import ActionDialog
from unfold.forms import AdminForm, BaseDialogForm

from annotation.models import Project
from annotation.models.events import record
from annotation.requests import Request

BY_PROJECT = ("project", admin.RelatedOnlyFieldListFilter)  # only the person's own
WIDGETS = (  # the first that fits
    (forms.ChoiceField, widgets.UnfoldAdminSelectWidget),  # a ModelChoiceField is one too
    (forms.BooleanField, widgets.UnfoldBooleanSwitchWidget),
    (forms.IntegerField, widgets.UnfoldAdminIntegerFieldWidget),  # as is a FloatField here
    (forms.CharField, widgets.UnfoldAdminTextInputWidget),
)


def led_by(request: Request) -> "QuerySet[Project]":
    return Project.objects.led_by(request.user)


def is_lead(request: Request) -> bool:
    """Whether the person leads anything; staff who lead nothing see an empty admin. Asked once per request."""
    known = vars(request)
    if "_is_lead" not in known:
        known["_is_lead"] = request.user.is_active and request.user.is_staff and led_by(request).exists()
    return request.user.is_superuser or known["_is_lead"]


class Desk(ModelAdmin):
    """`project_lookup` is the way from a row to its project; what may be added, changed or deleted is said here."""

    project_lookup = "project"
    addable = changeable = deletable = False
    fits: dict[str, Any] = {}  # by button: whether it makes sense for a row
    list_per_page = 50
    show_full_result_count = False
    view_on_site = False

    def get_queryset(self, request: Request) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if request.user.is_superuser:
            return rows
        return rows.filter(**{f"{self.project_lookup}__in": led_by(request)})

    def has_module_permission(self, request: Request) -> bool:
        return is_lead(request)

    def has_view_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)

    def has_add_permission(self, request: Request) -> bool:
        return self.addable and is_lead(request)

    def has_change_permission(self, request: Request, obj: Any = None) -> bool:
        return self.changeable and is_lead(request)

    def has_delete_permission(self, request: Request, obj: Any = None) -> bool:
        return self.deletable and is_lead(request)

    def has_lead_permission(self, request: Request, object_id: str | None = None) -> bool:
        """The gate of every button: `@action(permissions=["lead"])`. Raises Http404 for a row of another's."""
        if object_id is not None and is_lead(request):
            self.row(request, object_id)
        return is_lead(request)

    def row(self, request: Request, object_id: str) -> Any:
        found = self.get_object(request, unquote(str(object_id)))
        if found is None:
            raise Http404("No such row")
        return found

    def _get_obj_does_not_exist_redirect(self, request: Request, opts: Any, object_id: str) -> HttpResponse:
        raise Http404("No such row")

    def get_actions_detail(self, request: Request, object_id: str) -> list[Any]:
        """Only the buttons that make sense for the row as it is."""
        found = self.row(request, object_id)
        return [
            button
            for button in super().get_actions_detail(request, object_id)
            if self.fits.get(button.path, lambda row: True)(found)
        ]

    def formfield_for_foreignkey(self, db_field: Any, request: Request, **kwargs: Any) -> Any:
        if db_field.related_model is Project:
            kwargs["queryset"] = led_by(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: Request, obj: Any, form: Any, change: bool) -> None:
        """A change writes the fields that were changed and no others, and is put on record."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        changed = [name for name in form.changed_data if name in form._meta.model._meta._forward_fields_map]
        if changed:
            obj.save(update_fields=changed)
            self.record(f"{obj._meta.verbose_name} changed", request, obj, fields=changed)

    def record(self, verb: str, request: Request, obj: Any, **data: Any) -> None:
        project = obj if isinstance(obj, Project) else obj.project
        record(verb, obj, project=project, actor=request.user, **data)

    def here(self, obj: Any = None) -> str:
        """The address of a row's page, or of the list."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{'change' if obj else 'changelist'}"
        return reverse(name, args=[obj.pk] if obj else [])

    def done(self, request: Request, url: str, said: str = "", level: int = messages.SUCCESS) -> HttpResponse:
        """The end of every button: say what happened, and show where. Dialogs are sent by htmx."""
        if said:
            messages.add_message(request, level, said)
        return HttpResponseClientRedirect(url) if request.htmx else redirect(url)

    def form_page(self, request: Request, form: forms.Form, fieldsets: Any, title: str, **extra: Any) -> HttpResponse:
        """A page like Django's "add", for a form that is no model form and ends in a verb."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "adminform": AdminForm(form, fieldsets, {}, (), model_admin=self),
            "errors": form.errors,
            "media": self.media + form.media,
            "inline_admin_formsets": [],
            "is_popup": False,
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
            **extra,
        }
        return self.render_change_form(request, context, add=True)


class ReadOnlyInline(TabularInline):
    """Rows that hang on another row and are only looked at."""

    extra = 0
    can_delete = False
    show_change_link = False
    hide_title = True

    def has_view_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)

    def has_add_permission(self, request: Request, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Request, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Request, obj: Any = None) -> bool:
        return False


class Ask(BaseDialogForm):
    """The form of a dialog: it knows who asks, and wears the admin's widgets."""

    def __init__(self, request: Request, object_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(request, object_id, **kwargs)
        dress(self)


class AskOfLead(Ask):
    """The same, over a form that offers the projects a person leads."""

    def __init__(self, request: Request, object_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(request, object_id, user=request.user, **kwargs)


def sure(title: str, description: str, submit: str, form: type[BaseDialogForm] = Ask) -> ActionDialog:
    """A dialog before a button does anything: so that nothing changes by a link, and nothing by a slip."""
    return ActionDialog(title=title, description=description, form_class=form, form_submit_text=submit)


def dress(form: forms.Form) -> None:
    """Give a form's fields the admin's widgets."""
    for field in form.fields.values():
        if field.widget.is_hidden:
            continue
        for kind, widget in WIDGETS:
            if isinstance(field, kind):
                field.widget = widget()
                field.widget.is_required = field.required
                field.widget.attrs.update(field.widget_attrs(field.widget))
                if isinstance(field, forms.ChoiceField):
                    field.choices = field.choices  # hands them to the new widget
                break


def link(url: str, text: Any) -> str:
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


def prose(text: str) -> str:
    """Text as it was written, line by line and never as HTML."""
    return format_html('<div style="white-space: pre-wrap; overflow-wrap: anywhere">{}</div>', text)


def count_of(relation: str) -> models.Count:
    return models.Count(relation, distinct=True)
