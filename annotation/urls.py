"""Addresses of the annotators' pages."""

from django.urls import path

from annotation.views import joining, keys, people, projects, quality, work

urlpatterns = [
    path("", projects.projects, name="projects"),
    path("projects/<slug:slug>/", projects.project, name="project"),
    path("projects/<slug:slug>/guidelines/", projects.guidelines, name="guidelines"),
    path("projects/<slug:slug>/guidelines/edit/", projects.edit_guidelines, name="edit_guidelines"),
    path("projects/<slug:slug>/import/", projects.import_data, name="import"),
    path("keys/", keys.keys, name="keys"),
    path("projects/<slug:slug>/quality/", quality.quality, name="quality"),
    path("projects/<slug:slug>/quality/people/", quality.raters, name="raters"),
    path("projects/<slug:slug>/quality/people/<int:person>/", quality.rate_person, name="rate_person"),
    path("projects/<slug:slug>/quality/consensus/", quality.recompute, name="recompute"),
    path("projects/<slug:slug>/people/", people.members, name="people"),
    path("projects/<slug:slug>/people/<int:pk>/", people.person, name="person"),
    path("projects/<slug:slug>/people/<int:pk>/remove/", people.remove, name="remove_person"),
    path("projects/<slug:slug>/people/<int:pk>/export/", people.export_work, name="export_work"),
    path("projects/<slug:slug>/invitations/<int:pk>/revoke/", people.revoke, name="revoke_invitation"),
    path("projects/<slug:slug>/teams/new/", people.new_team, name="new_team"),
    path("projects/<slug:slug>/teams/<int:pk>/", people.team, name="team"),
    path("projects/<slug:slug>/teams/<int:pk>/delete/", people.delete_team, name="delete_team"),
    path("join/<slug:token>/", joining.join, name="join"),
    path("projects/<slug:slug>/label/<slug:kind>/", work.work, name="work"),
    path("projects/<slug:slug>/label/<slug:kind>/ahead/", work.ahead, name="ahead"),
    path("projects/<slug:slug>/label/<slug:kind>/undo/", work.undo, name="undo"),
    path("assignments/<int:pk>/submit/", work.submit, name="submit"),
    path("assignments/<int:pk>/skip/", work.skip, name="skip"),
    path("assignments/<int:pk>/draft/", work.draft, name="draft"),
    path("assignments/<int:pk>/release/", work.release, name="release"),
]
