"""Addresses of the leads' pages about runs; those that also tell of rounds are in evaluation/urls.py."""

from django.urls import path

from training import frozen, suggested, toxicpages, views, wordings

urlpatterns = [
    path("projects/<slug:slug>/runs/", views.runs, name="runs"),
    path("projects/<slug:slug>/runs/start/", views.start_run, name="start_run"),
    path("projects/<slug:slug>/runs/which-method/", views.which_method, name="which_method"),
    path("projects/<slug:slug>/runs/<int:pk>/metrics/", views.run_metrics, name="run_metrics"),
    path("projects/<slug:slug>/runs/<int:pk>/cancel/", views.cancel_run, name="cancel_run"),
    path("projects/<slug:slug>/runs/<int:pk>/retry/", views.retry_run, name="retry_run"),
    path("projects/<slug:slug>/runs/<int:pk>/move/", views.move_run, name="move_run"),
    path("projects/<slug:slug>/runs/<int:pk>/continue/", views.continue_run, name="continue_run"),
    path("projects/<slug:slug>/models/<int:pk>/suggest/", suggested.suggest_tags, name="suggest_tags"),
    path("projects/<slug:slug>/data/suggestions/", suggested.decide_tags, name="decide_tags"),
    path("projects/<slug:slug>/data/clean/toxicity/", toxicpages.toxicity, name="toxicity"),
    path("projects/<slug:slug>/data/clean/toxicity/read/", toxicpages.read, name="read_for_toxicity"),
    path("projects/<slug:slug>/runs/paraphrase/", wordings.start_paraphrasing, name="start_paraphrasing"),
    path("projects/<slug:slug>/runs/<int:pk>/paraphrases/", wordings.paraphrases, name="paraphrases"),
    path("projects/<slug:slug>/paraphrases/<int:pk>/decide/", wordings.decide_paraphrase, name="decide_paraphrase"),
    path("projects/<slug:slug>/data/snapshots/", frozen.snapshots, name="snapshots"),
    path("projects/<slug:slug>/data/snapshots/new/", frozen.new_snapshot, name="new_snapshot"),
    path("projects/<slug:slug>/data/snapshots/preview/", frozen.preview_snapshot, name="preview_snapshot"),
    path("projects/<slug:slug>/data/snapshots/asked/<int:pk>/", frozen.freezing_page, name="freezing"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/", frozen.snapshot, name="snapshot"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/rows/<int:number>/", frozen.snapshot_row, name="snapshot_row"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/recipe/", frozen.snapshot_recipe, name="snapshot_recipe"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/file/", frozen.snapshot_file, name="snapshot_file"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/check/", frozen.check_snapshot, name="check_snapshot"),
    path("projects/<slug:slug>/data/snapshots/<int:pk>/compare/", frozen.compare_snapshots, name="compare_snapshots"),
    path("projects/<slug:slug>/data/recipes/<int:pk>/", frozen.recipe_file, name="recipe_file"),
]
