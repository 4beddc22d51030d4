"""Addresses of the leads' pages: rounds, models, and what a run belongs to."""

from django.urls import include, path

from evaluation import views

urlpatterns = [
    path("", include("training.urls")),
    path("projects/<slug:slug>/runs/<int:pk>/", views.run, name="run"),
    path("projects/<slug:slug>/models/", views.models, name="models"),
    path("projects/<slug:slug>/models/<int:pk>/", views.model, name="model"),
    path("projects/<slug:slug>/models/<int:pk>/promote/", views.promote, name="promote"),
    path("projects/<slug:slug>/models/<int:pk>/card/", views.model_card, name="model_card"),
    path("projects/<slug:slug>/models/<int:pk>/export/", views.export_model, name="export_model"),
    path("projects/<slug:slug>/models/<int:pk>/merge/", views.merge_model, name="merge_model"),
    path("projects/<slug:slug>/models/<int:pk>/delete/", views.delete_model, name="delete_model"),
    path("projects/<slug:slug>/rounds/", views.rounds, name="rounds"),
    path("projects/<slug:slug>/rounds/<int:number>/", views.round, name="round"),
    path("projects/<slug:slug>/rounds/<int:number>/state/", views.round_state, name="round_state"),
    path("projects/<slug:slug>/rounds/<int:number>/advance/", views.advance_round, name="advance_round"),
    path("projects/<slug:slug>/rounds/<int:number>/cancel/", views.cancel_round, name="cancel_round"),
    path("projects/<slug:slug>/rounds/<int:number>/retry/", views.retry_round, name="retry_round"),
]
