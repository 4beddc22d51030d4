"""What the pages do can be done over the API: for each page its endpoints, or why there is none."""

from tests.api.test_doors import ROUTES
from tests.config.test_addresses import names

P = "projects/<slug:slug>/"
DOORS: dict[str, str | list[str]] = {
    "projects": "get projects/",
    "project": f"get {P}",
    "my_work": f"get {P}me/",
    "guidelines": f"get {P}guidelines/",
    "guidelines_versions": f"get {P}guidelines/",
    "guidelines_version": f"get {P}guidelines/",
    "edit_guidelines": f"post {P}guidelines/",
    "read_guidelines": f"post {P}guidelines/<int:number>/read/",
    "import": [f"get {P}imports/", f"post {P}imports/", f"post {P}prompts/"],
    "import_file": [f"get {P}imports/<int:import_id>/", f"post {P}imports/<int:import_id>/start/"],
    "import_state": f"get {P}imports/<int:import_id>/",
    "import_rejected": f"get {P}imports/<int:import_id>/rejected/",
    **{f"{name}_import": f"post {P}imports/<int:import_id>/{name}/" for name in ("cancel", "retry")},
    "browse": [f"get {P}{name}/" for name in ("prompts", "responses", "labels")],
    "browse_prompt": f"get {P}responses/",
    "save_view": [f"get {P}views/", f"post {P}views/"],
    "change_view": [f"patch {P}views/<int:view_id>/", f"delete {P}views/<int:view_id>/"],
    "bulk_change": [f"post {P}changes/count/", f"post {P}changes/"],
    "bulk_changes": [f"get {P}changes/", f"get {P}changes/<int:change_id>/"],
    "undo_change": f"post {P}changes/<int:change_id>/undo/",
    "cleaning": [f"get {P}findings/", f"post {P}exclude/", f"post {P}bring-back/"],
    "decide_findings": f"post {P}findings/decide/",
    "check_data": f"post {P}checks/",
    "cleaning_progress": f"get {P}checks/",
    "snapshots": f"get {P}snapshots/",
    "new_snapshot": [f"post {P}snapshots/", f"get {P}recipes/", f"post {P}recipes/"],
    "preview_snapshot": f"post {P}snapshots/preview/",
    "freezing": f"get {P}freezings/<int:freezing_id>/",
    "snapshot": f"get {P}snapshots/<int:snapshot_id>/",
    "snapshot_row": f"get {P}snapshots/<int:snapshot_id>/rows/",
    "snapshot_file": f"get {P}snapshots/<int:snapshot_id>/file/",
    "snapshot_recipe": f"get {P}snapshots/<int:snapshot_id>/recipe/",
    "check_snapshot": f"post {P}snapshots/<int:snapshot_id>/check/",
    "compare_snapshots": f"get {P}snapshots/<int:snapshot_id>/compare/<int:other_id>/",
    "recipe_file": f"get {P}recipes/<int:recipe_id>/",
    "export_page": [f"get {P}exports/", f"post {P}exports/", f"get {P}export/"],
    "export_state": f"get {P}exports/<int:export_id>/",
    "export_file": f"get {P}exports/<int:export_id>/file/",
    "delete_export": f"delete {P}exports/<int:export_id>/",
    "access_keys": ["get access-keys/", "post access-keys/"],
    "revoke_access_key": "delete access-keys/<int:key_id>/",
    "webhooks": [f"get {P}webhooks/", f"post {P}webhooks/"],
    "webhook": [
        *(f"{method} {P}webhooks/<int:webhook_id>/" for method in ("get", "patch")),
        f"get {P}webhooks/<int:webhook_id>/deliveries/",
    ],
    "ping_webhook": f"post {P}webhooks/<int:webhook_id>/ping/",
    "renew_webhook_secret": f"post {P}webhooks/<int:webhook_id>/secret/",
    "delete_webhook": f"delete {P}webhooks/<int:webhook_id>/",
    "send_again": f"post {P}webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/send/",
    "quality": f"get {P}agreement/",
    "raters": f"get {P}raters/",
    "rate_person": [f"post {P}raters/<int:person_id>/exclude/", f"post {P}raters/<int:person_id>/include/"],
    "recompute": [f"post {P}consensus/", f"get {P}consensus/"],
    "people": [f"get {P}people/", f"get {P}teams/", f"get {P}invitations/", f"post {P}invitations/"],
    "person": [f"get {P}people/<int:person_id>/", f"patch {P}people/<int:person_id>/"],
    "remove_person": f"delete {P}people/<int:person_id>/",
    "export_work": f"get {P}people/<int:person_id>/export/",
    "revoke_invitation": f"post {P}invitations/<int:invitation_id>/revoke/",
    "new_team": f"post {P}teams/",
    "team": f"patch {P}teams/<int:team_id>/",
    "delete_team": f"delete {P}teams/<int:team_id>/",
    "join": "post join/",
    "gold": [f"get {P}gold/", f"patch {P}gold/rules/", f"get {P}paused/"],
    "gold_candidates": f"get {P}gold/candidates/",
    "make_gold": f"post {P}gold/",
    "gold_item": [f"patch {P}gold/<int:gold_id>/", f"delete {P}gold/<int:gold_id>/"],
    "pause": f"post {P}people/<int:person_id>/pause/",
    "unpause": f"post {P}people/<int:person_id>/unpause/",
    "gold_answer": "get labels/<int:label_id>/gold/",
    "work": f"post {P}next/",
    "ahead": f"post {P}next/",
    "undo": f"post {P}undo/",
    "check": f"post {P}check/",
    **{name: f"post assignments/<int:assignment_id>/{name}/" for name in ("submit", "skip", "draft", "release")},
    "thread": [f"{method} assignments/<int:assignment_id>/comments/" for method in ("get", "post")],
    "comment": ["get comments/<int:comment_id>/", "post comments/<int:comment_id>/"],
    "settle": "post comments/<int:comment_id>/settle/",
    "flags": f"get {P}flags/",
    "my_labels": f"get {P}labels/",
    "withdraw": "post labels/<int:label_id>/retract/",
    "revise": "post labels/<int:label_id>/revise/",
    "review": f"post {P}review/",
    "decide": "post assignments/<int:assignment_id>/submit/",
    "pass_on": "post assignments/<int:assignment_id>/skip/",
    "notices": "get notices/",
    "read_notices": "post notices/read/",
    "notice": "post notices/<int:notice_id>/read/",
    "rounds": [f"get {P}rounds/", f"post {P}rounds/"],
    "round_policy": [f"get {P}rounds/policy/", f"put {P}rounds/policy/"],
    "round": f"get {P}rounds/<int:number>/",
    "round_state": f"get {P}rounds/<int:number>/",
    "round_report": f"get {P}rounds/<int:number>/report/",
    "report_file": f"get {P}rounds/<int:number>/report/",
    **{f"{name}_round": f"post {P}rounds/<int:number>/{name}/" for name in ("advance", "cancel", "retry")},
    "history": [f"get {P}history/", f"get {P}leaderboard/"],
    "runs": f"get {P}runs/",
    "start_run": [f"post {P}runs/", f"post {P}runs/check/"],
    "which_method": f"get {P}runs/advice/",
    "run": f"get {P}runs/<int:run_id>/",
    "run_metrics": f"get {P}runs/<int:run_id>/metrics/",
    **{f"{name}_run": f"post {P}runs/<int:run_id>/{name}/" for name in ("cancel", "retry", "move", "continue")},
    "start_paraphrasing": f"post {P}paraphrases/",
    "paraphrases": f"get {P}paraphrases/",
    "decide_paraphrase": f"post {P}paraphrases/<int:paraphrase_id>/decide/",
    "models": [f"get {P}models/", f"post {P}models/"],
    "model": [f"get {P}models/<int:model_id>/", f"get {P}evaluations/", f"get {P}models/<int:model_id>/gate/"],
    "model_card": f"get {P}models/<int:model_id>/",
    "export_model": f"get {P}models/<int:model_id>/export/",
    "merge_model": f"post {P}models/<int:model_id>/merge/",
    "delete_model": f"delete {P}models/<int:model_id>/",
    "measure_model": f"post {P}evaluations/",
    "promote": f"post {P}models/<int:model_id>/promote/",
    "roll_back": f"post {P}roll-back/",
    "gate_policy": [f"get {P}gate/", f"patch {P}gate/"],
    "compare_models": f"get {P}models/compare/",
    "ask_second_opinion": f"post {P}second-opinions/",
    "start_head_to_head": f"post {P}head-to-heads/",
    "stop_head_to_head": f"post {P}head-to-heads/<int:match_id>/stop/",
}
NONE = {
    "login": "a browser's; programs send a key, or ask token/ for one",
    "logout": "the same",
    "everything_is_well": "`/metrics` and `manage.py doctor` tell programs",
    "keys": "shortcuts of a keyboard, which programs have none of",
    "schema": "the API's own document",
    "api_docs": "the API's own page",
}


def of_an_account(name: str) -> bool:
    """Passwords, second factors, sessions, what is held about a person: a browser's, so that no key changes them."""
    families = ("account", "mfa_", "socialaccount_", "openid_connect_", "session", "end_session")
    return name.startswith(families) or name in ("personal_data", "sign_in_anew")


def test_every_page_has_its_endpoint_or_a_reason() -> None:
    missing = {name for name in names() if not of_an_account(name)} - set(DOORS) - set(NONE)
    assert not missing, f"name the endpoint that does what these pages do, or say why there is none: {missing}"
    assert not (set(DOORS) | set(NONE)) - set(names())


def test_the_endpoints_named_are_there() -> None:
    there = {f"{method} {route}" for method, route in ROUTES}
    for page, doors in DOORS.items():
        for door in [doors] if isinstance(doors, str) else doors:
            assert door in there, page
