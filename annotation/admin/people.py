"""People, and their roles in projects."""

from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from annotation import people
from annotation.admin.accounts import AccountButtons
from annotation.desk import is_lead, led_by, link
from annotation.models import Membership, User
from annotation.requests import Request

admin.site.unregister(Group)


class PersonField(forms.ModelChoiceField):
    """A person by their user name, typed: nobody has to be shown a list of everybody."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(User.objects.all(), to_field_name="username", widget=UnfoldAdminTextInputWidget, **kwargs)
        self.error_messages["invalid_choice"] = "Nobody has this user name."

    def prepare_value(self, value: Any) -> Any:
        return User.objects.get(pk=value).username if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        return User.objects.get(pk=value) if isinstance(value, int) else super().to_python(value)


class MembershipForm(forms.ModelForm):
    """Who a membership belongs to does not change; their role does."""

    person = PersonField(label="User name")

    class Meta:
        model = Membership
        fields = ("person", "role", "simulated")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["person"].disabled = True


class MembershipFormSet(forms.BaseInlineFormSet):
    """Who cannot be taken out on the page of people cannot be here either."""

    def clean(self) -> None:
        super().clean()
        for form in self.deleted_forms:
            if form.instance.pk and (reason := people.why_kept(form.instance)):
                raise ValidationError(reason)


class MembershipInline(TabularInline):
    model = Membership
    formset = MembershipFormSet
    extra = 0
    verbose_name_plural = "People"

    def get_queryset(self, request: Request) -> QuerySet[Membership]:
        return super().get_queryset(request).filter(project__in=led_by(request)).select_related("person", "project")

    def has_view_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)

    def has_add_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)

    def has_change_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)

    def has_delete_permission(self, request: Request, obj: Any = None) -> bool:
        return is_lead(request)


class PeopleOfProject(MembershipInline):
    form = MembershipForm
    readonly_fields = ("paused",)

    @display(description="Paused")
    def paused(self, membership: Membership) -> str:
        """Why, with a link to the page on which a lead lets them go on."""
        if not membership.paused_at:
            return "–"
        return link(reverse("gold", args=[membership.project.slug]) + "#paused", membership.paused_because or "Yes")


class ProjectsOfPerson(MembershipInline):
    fields = ("project", "role", "simulated")
    verbose_name_plural = "Projects"

    def get_formset(self, request: Request, obj: Any = None, **kwargs: Any) -> Any:
        """Whom a lead adds must be in a project of theirs, or they would not see them again."""
        if obj is None and not request.user.is_superuser:
            kwargs |= {"min_num": 1, "validate_min": True}
        return super().get_formset(request, obj, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: Request, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, queryset=led_by(request), **kwargs)


def welcome(request: Request, formset: Any) -> None:
    """Changed memberships are welcomed and ended ones seen off as everywhere (annotation/people.py)."""
    if formset.model is not Membership:
        return
    for membership in [*formset.new_objects, *(row for row, _ in formset.changed_objects)]:
        people.welcome(membership=membership, actor=request.user)
    for membership in formset.deleted_objects:
        people.farewell(membership=membership, actor=request.user)


@admin.register(User)
class PersonAdmin(AccountButtons, auth.UserAdmin, ModelAdmin):
    """A lead may add people, to projects they lead, and sees who is in them. The rest is a superuser's."""

    form = UserChangeForm
    add_form = UserCreationForm
    add_form_template = None
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "email", "in_projects", "is_active", "last_login")
    list_filter = ("is_active",)
    list_per_page = 50
    show_full_result_count = False
    inlines = (ProjectsOfPerson,)

    def get_queryset(self, request: Any) -> QuerySet[User]:
        found = super().get_queryset(request).prefetch_related("memberships__project")
        if request.user.is_superuser:
            return found
        return found.filter(memberships__project__in=led_by(request)).distinct()

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        if obj is not None and not request.user.is_superuser:
            return ((None, {"fields": ("username", "first_name", "last_name", "email", "is_active")}),)
        return super().get_fieldsets(request, obj)

    def has_module_permission(self, request: Any) -> bool:
        return is_lead(request)

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return is_lead(request)

    def has_add_permission(self, request: Any) -> bool:
        return is_lead(request)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        if obj is not None and obj.erased_at:
            return False
        return request.user.is_active and request.user.is_superuser

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    def _add_view(self, request: Any, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Django wants the right to change people for adding one, lest a lead make a superuser: here the form
        for adding knows only a name and a password."""
        return self.changeform_view(request, None, form_url, extra_context)

    def _get_obj_does_not_exist_redirect(self, request: Any, opts: Any, object_id: str) -> HttpResponse:
        raise Http404("No such person")

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        """An e-mail that somebody had before opens nothing any more."""
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()

    def save_formset(self, request: Any, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        welcome(request, formset)

    @display(description="Name")
    def full_name(self, person: User) -> str:
        return person.get_full_name()

    @display(description="Projects")
    def in_projects(self, person: User) -> str:
        return ", ".join(f"{one.project} ({one.get_role_display().lower()})" for one in person.memberships.all())


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, ModelAdmin):
    """Django's own; nothing in the product asks about groups."""
