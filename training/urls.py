"""Addresses of the leads' pages about runs; those that also tell of rounds are in evaluation/urls.py."""

from django.urls import path

from training import views

urlpatterns = [
    path("projects/<slug:slug>/runs/", views.runs, name="runs"),
    path("projects/<slug:slug>/runs/start/", views.start_run, name="start_run"),
    path("projects/<slug:slug>/runs/which-method/", views.which_method, name="which_method"),
    path("projects/<slug:slug>/runs/<int:pk>/metrics/", views.run_metrics, name="run_metrics"),
    path("projects/<slug:slug>/runs/<int:pk>/cancel/", views.cancel_run, name="cancel_run"),
    path("projects/<slug:slug>/runs/<int:pk>/retry/", views.retry_run, name="retry_run"),
    path("projects/<slug:slug>/runs/<int:pk>/move/", views.move_run, name="move_run"),
    path("projects/<slug:slug>/runs/<int:pk>/continue/", views.continue_run, name="continue_run"),
]
