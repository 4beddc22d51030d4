"""Addresses of the leads' pages: rounds, models, and what a run belongs to."""

from django.urls import include, path

from evaluation import deciding, looking_back, views

urlpatterns = [
    path("", include("training.urls")),
    path("projects/<slug:slug>/runs/<int:pk>/", views.run, name="run"),
    path("projects/<slug:slug>/models/", views.models, name="models"),
    path("projects/<slug:slug>/models/<int:pk>/", views.model, name="model"),
    path("projects/<slug:slug>/models/<int:pk>/promote/", deciding.promote, name="promote"),
    path("projects/<slug:slug>/models/<int:pk>/card/", views.model_card, name="model_card"),
    path("projects/<slug:slug>/models/<int:pk>/export/", views.export_model, name="export_model"),
    path("projects/<slug:slug>/models/<int:pk>/merge/", views.merge_model, name="merge_model"),
    path("projects/<slug:slug>/models/<int:pk>/delete/", views.delete_model, name="delete_model"),
    path("projects/<slug:slug>/models/<int:pk>/measure/", deciding.measure, name="measure_model"),
    path("projects/<slug:slug>/models/<int:pk>/head-to-head/", deciding.start_match, name="start_head_to_head"),
    path(
        "projects/<slug:slug>/models/<int:pk>/second-opinion/",
        deciding.ask_second_opinion,
        name="ask_second_opinion",
    ),
    path("projects/<slug:slug>/models/<int:pk>/suites/", deciding.ask_suites, name="ask_suites"),
    path("projects/<slug:slug>/models/compare/", looking_back.compare, name="compare_models"),
    path("projects/<slug:slug>/head-to-heads/<int:pk>/stop/", deciding.stop_match, name="stop_head_to_head"),
    path("projects/<slug:slug>/roll-back/", deciding.roll_back, name="roll_back"),
    path("projects/<slug:slug>/gate/", deciding.gate_policy, name="gate_policy"),
    path("projects/<slug:slug>/history/", looking_back.history, name="history"),
    path("projects/<slug:slug>/rounds/", views.rounds, name="rounds"),
    path("projects/<slug:slug>/rounds/policy/", views.round_policy, name="round_policy"),
    path("projects/<slug:slug>/rounds/aim/", views.set_aim, name="set_aim"),
    path("projects/<slug:slug>/rounds/<int:number>/", views.round, name="round"),
    path("projects/<slug:slug>/rounds/<int:number>/state/", views.round_state, name="round_state"),
    path("projects/<slug:slug>/rounds/<int:number>/report/", looking_back.round_report, name="round_report"),
    path("projects/<slug:slug>/rounds/<int:number>/report/file/", looking_back.report_file, name="report_file"),
    path("projects/<slug:slug>/rounds/<int:number>/advance/", views.advance_round, name="advance_round"),
    path("projects/<slug:slug>/rounds/<int:number>/cancel/", views.cancel_round, name="cancel_round"),
    path("projects/<slug:slug>/rounds/<int:number>/retry/", views.retry_round, name="retry_round"),
]
