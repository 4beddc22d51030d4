"""Addresses of the annotators' pages."""

from django.urls import path

from annotation import views

urlpatterns = [
    path("", views.projects, name="projects"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/guidelines/", views.guidelines, name="guidelines"),
    path("projects/<slug:slug>/guidelines/edit/", views.edit_guidelines, name="edit_guidelines"),
    path("projects/<slug:slug>/import/", views.import_data, name="import"),
    path("projects/<slug:slug>/label/<slug:kind>/", views.work, name="work"),
    path("assignments/<int:pk>/submit/", views.submit, name="submit"),
    path("assignments/<int:pk>/skip/", views.skip, name="skip"),
    path("assignments/<int:pk>/draft/", views.draft, name="draft"),
]
