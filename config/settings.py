"""Django settings, driven by the environment (docs/settings.md lists every variable)."""

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from config import browsers, database, logs, mail, oidc, postgres, sentry
from config.paths import BASE, VAR

ENVIRONMENT = os.environ.get("TOUCHSTONE_ENV") or "development"
if ENVIRONMENT not in {"development", "production"}:
    raise ImproperlyConfigured(f"TOUCHSTONE_ENV is development or production, not {ENVIRONMENT!r}.")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = not PRODUCTION and os.environ.get("TOUCHSTONE_DEBUG", "") == "1"


def _listed(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _secret_key() -> str:
    """From the environment, or drawn once and kept in `var/secret_key`."""
    kept = VAR / "secret_key"
    key = os.environ.get("TOUCHSTONE_SECRET_KEY")
    if not key and not kept.exists():
        VAR.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=VAR, prefix="secret_key.") as draft:  # readable by its owner only
            draft.write(secrets.token_urlsafe(64))
            draft.flush()
            os.fsync(draft.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft.name, kept)  # the first process wins; the others read its key
    source = "TOUCHSTONE_SECRET_KEY" if key else str(kept)
    key = key or kept.read_text().strip()
    if PRODUCTION and len(key) < 50:
        raise ImproperlyConfigured(f"{source} is unsafe: it needs 50 random characters or more.")
    return key


def _serving_socket() -> Path:
    """Where `serve_models` answers: in `var`, or in a folder of our own where that path is too long for a socket."""
    path = VAR / "serving.sock"
    if len(os.fsencode(path)) <= postgres.SOCKET_PATH_LIMIT:
        return path
    folder = f"touchstone-models-{hashlib.sha256(os.fsencode(VAR)).hexdigest()[:12]}"
    return Path("/tmp") / folder / path.name  # noqa: S108  (whoever serves must own it)


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = _listed("TOUCHSTONE_ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _listed("TOUCHSTONE_TRUSTED_ORIGINS")

if PRODUCTION:
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("Set TOUCHSTONE_ALLOWED_HOSTS to the host names this server answers to (not *).")
    if os.environ.get("TOUCHSTONE_DEBUG", "") == "1":
        raise ImproperlyConfigured("TOUCHSTONE_DEBUG=1 shows secrets to visitors: unset it in production.")

INSTALLED_APPS = [
    "config",
    "annotation",
    "training",
    "evaluation",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]

MIDDLEWARE = [
    "config.health.answers",
    "config.metrics.measured",
    "config.logs.requests",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.browsers.packaged_pages",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.second_factor.asked_for",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {"default": database.settings(pool=os.environ.get("TOUCHSTONE_DB_POOL") == "1")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "annotation.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
PASSWORD_HASHERS = [
    "config.hashing.Argon2",
    *global_settings.PASSWORD_HASHERS,
]  # the others are read, and replaced at the next sign-in
PASSWORD_RESET_TIMEOUT = 3600  # seconds for which a link in a letter holds
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "projects"
LOGOUT_REDIRECT_URL = "login"

# Signing in (django-allauth): by name or e-mail, or by a provider of the operator's; accounts come by invitation.
try:
    MAIL = mail.settings(os.environ.get("TOUCHSTONE_EMAIL_URL", ""))
    _provider = oidc.provider(os.environ.get("TOUCHSTONE_OIDC", ""), plain=not PRODUCTION)
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from None  # the address with its password stays out of the log
globals().update(MAIL or {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"})
DEFAULT_FROM_EMAIL = os.environ.get("TOUCHSTONE_EMAIL_FROM") or "touchstone@localhost"
SECOND_FACTOR = os.environ.get("TOUCHSTONE_SECOND_FACTOR", "")
if SECOND_FACTOR not in {"", "leads", "all"}:
    raise ImproperlyConfigured("TOUCHSTONE_SECOND_FACTOR is leads or all, or not set.")
OIDC_NAME = _provider.get("name", "")
OIDC_SIGN_UP = os.environ.get("TOUCHSTONE_OIDC_SIGN_UP", "") == "1"
ACCOUNT_ADAPTER = "config.signing_in.Accounts"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no letter to whoever has no account
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PRODUCTION else "http"
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,10/5m/key"}
ACCOUNT_REAUTHENTICATION_METHODS = {"password", "mfa"}
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
SOCIALACCOUNT_ADAPTER = "config.signing_in.FromElsewhere"
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_provider] if _provider else []}}
SOCIALACCOUNT_STORE_TOKENS = False
MFA_ADAPTER = "config.signing_in.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]  # a passkey is a second factor, after the password
MFA_ALLOW_UNVERIFIED_EMAIL = True  # not everybody has one, and not every server sends letters

LANGUAGE_CODE = "en-gb"
TIME_ZONE = os.environ.get("TOUCHSTONE_TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
# Where collectstatic puts them.
STATIC_ROOT = Path(os.environ.get("TOUCHSTONE_STATIC") or VAR / "static") if PRODUCTION else None
STATICFILES_DIRS = [BASE / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION  # development serves static/ as it is; production what was collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
HUB_TOKEN = os.environ.get("HF_TOKEN", "")  # with which data sets are put on the Hugging Face hub
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": browsers.OURS}  # what a browser may load and run on a page
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

# The queue. A message only wakes a worker: rows are the truth, and every task claims its row first.
# `retry` is the broker's lease, so it must exceed `timeout`; long runs finish well within it or are re-claimed.
# Each part of this machine's devices has its gpu worker: "0,1,2+3" are three, the last with two devices.
DEVICES = [tuple(part.split("+")) for part in _listed("TOUCHSTONE_DEVICES")]
GPU_TIMEOUT = 7 * 24 * 3600  # seconds after which the queue ends a gpu worker
_queue = {
    "orm": "default",
    "poll": 0.5,
    "ack_failures": True,
    "max_attempts": 3,
    "catch_up": False,
    "save_limit": 1000,
    "label": "Queue",
}
Q_CLUSTER = {
    **_queue,
    "name": "default",
    "broker_class": "config.heartbeat.Broker",
    "workers": 1,
    "queue_limit": 1,
    "timeout": 600,
    "retry": 660,
    "recycle": 200,
    "ALT_CLUSTERS": {
        "gpu": {
            "workers": max(1, len(DEVICES)),
            "queue_limit": max(1, len(DEVICES)),
            "timeout": GPU_TIMEOUT,
            "retry": GPU_TIMEOUT + 600,
            "recycle": 1,
        }
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotation.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotation.parsers.PlainJsonParser"],
    "URL_FORMAT_OVERRIDE": None,  # what is accepted is said in the header
    "DEFAULT_THROTTLE_CLASSES": ["config.limits.Everybody"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "config.pagination.ByNewest",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Touchstone",
    "DESCRIPTION": "Human judgement in, better models out: everything the pages do, as an API.",
    "VERSION": "1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "ENUM_NAME_OVERRIDES": {  # one name for each list of choices
        "FindingKind": "annotation.models.cleaning.Check",
        "FindingState": "annotation.models.cleaning.Decision",
        "ItemKind": "annotation.models.items.Kind",
        "Role": "annotation.models.people.Role",
        "SnapshotKind": "training.models.snapshots.SnapshotKind",
        "FreezeState": "training.models.snapshots.FreezeState",
        "SnapshotChange": "training.snapshots.comparing.CHANGES",
        "ModelKind": "training.models.registry.ModelKind",
        "SuggestionState": "training.models.suggestions.State",
        "ImportStatus": "annotation.models.imports.Stage",
        "ImportShape": "annotation.api.imports.CHOICES",
        "ExportShape": "annotation.exportserializers.CHOICES",
        "ExportStatus": "annotation.models.exports.Export.Status",
        "RunStatus": "training.models.runs.Status",
        "RoundStepName": "evaluation.models.Step",
        "StepStatus": "evaluation.models.StepStatus",
        "RoundStatus": "evaluation.models.RoundStatus",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.openapi.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "displayRequestDuration": True, "docExpansion": "none"},
    "REDOC_DIST": "SIDECAR",
}

UNFOLD = {
    "SITE_TITLE": "Touchstone",
    "SITE_HEADER": "Touchstone",
    "SITE_SUBHEADER": "Leads' desk",
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("img/mark.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/mark.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_BACK_BUTTON": True,
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 180)",
            "100": "oklch(94% .04 180)",
            "200": "oklch(89% .07 180)",
            "300": "oklch(82% .09 180)",
            "400": "oklch(72% .1 180)",
            "500": "oklch(62% .1 180)",
            "600": "oklch(52% .09 180)",
            "700": "oklch(45% .08 180)",
            "800": "oklch(38% .06 180)",
            "900": "oklch(32% .05 180)",
            "950": "oklch(24% .04 180)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "title": "The loop",
                "items": [
                    {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}_changelist")}
                    for title, icon, name in (
                        ("Projects", "inventory_2", "annotation_project"),
                        ("People", "group", "annotation_user"),
                        ("Rounds", "autorenew", "evaluation_round"),
                        ("Runs", "model_training", "training_run"),
                        ("Model versions", "deployed_code", "training_modelversion"),
                        ("Snapshots", "dataset", "training_snapshot"),
                        ("Evaluations", "monitoring", "evaluation_evaluation"),
                    )
                ],
            },
            {
                "title": "Programs",
                "items": [
                    {
                        "title": "Access keys",
                        "icon": "key",
                        "link": reverse_lazy("admin:annotation_accesskey_changelist"),
                        "permission": lambda request: request.user.is_superuser,
                    }
                ],
            },
            {
                "title": "What people said",
                "items": [
                    {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}_changelist")}
                    for title, icon, name in (
                        ("Prompts", "chat", "annotation_prompt"),
                        ("Items", "list_alt", "annotation_item"),
                        ("Labels", "sell", "annotation_label"),
                        ("Events", "history", "annotation_event"),
                    )
                ],
            },
            {
                "title": "The installation",
                "items": [
                    {
                        "title": "Is everything well?",
                        "icon": "monitor_heart",
                        "link": reverse_lazy("everything_is_well"),
                    }
                ],
            },
        ],
    },
}

LOG_FORMAT = os.environ.get("TOUCHSTONE_LOG_FORMAT") or "line"
if LOG_FORMAT not in {"line", "json"}:
    raise ImproperlyConfigured(f"TOUCHSTONE_LOG_FORMAT is line or json, not {LOG_FORMAT!r}.")
LOGGING = logs.settings_for(LOG_FORMAT, os.environ.get("TOUCHSTONE_LOG_LEVEL", "INFO"))

# Touchstone's own.
API_PER_MINUTE = int(os.environ.get("TOUCHSTONE_API_PER_MINUTE", "6000"))  # of one person, by each web process
SIGN_INS_PER_MINUTE = 30  # tried from one address
PROXIES = int(os.environ.get("TOUCHSTONE_PROXIES", "1" if PRODUCTION else "0"))  # between people and the web server
if min(API_PER_MINUTE, PROXIES + 1) < 1:
    raise ImproperlyConfigured("TOUCHSTONE_API_PER_MINUTE must be 1 or more, TOUCHSTONE_PROXIES not negative.")
METRICS_TOKEN = os.environ.get("TOUCHSTONE_METRICS_TOKEN", "")  # with which /metrics answers; without, to nobody
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("TOUCHSTONE_METRICS_TOKEN needs 20 random characters or more.")
ARTIFACTS = Path(os.environ.get("TOUCHSTONE_ARTIFACTS") or VAR / "artifacts").resolve()
IMPORT_LIMIT_MB = int(os.environ.get("TOUCHSTONE_IMPORT_LIMIT_MB", "4096"))  # of one file that is brought in
STORE = os.environ.get("TOUCHSTONE_STORE", "").rstrip("/")  # for machines that share no folder
BACKUP_DAYS = int(os.environ.get("TOUCHSTONE_BACKUP_DAYS") or 0)  # after which backups are removed; 0: never
if BACKUP_DAYS < 0:
    raise ImproperlyConfigured("TOUCHSTONE_BACKUP_DAYS must not be negative.")
DEVICE_LOCKS = VAR / "devices"
SERVING_SOCKET = _serving_socket()
RUN_HEARTBEAT_SECONDS = 5  # a gpu worker says it is alive this often
RUN_LOST_SECONDS = int(os.environ.get("TOUCHSTONE_RUN_LOST_SECONDS", "45"))  # silence after which a run is taken back
if RUN_LOST_SECONDS < 3 * RUN_HEARTBEAT_SECONDS:
    raise ImproperlyConfigured(f"TOUCHSTONE_RUN_LOST_SECONDS must be {3 * RUN_HEARTBEAT_SECONDS} or more.")
RUN_LIMIT_MINUTES = int(os.environ.get("TOUCHSTONE_RUN_LIMIT_MINUTES", str(6 * 24 * 60)))  # of one attempt at a run
if not 0 < 60 * RUN_LIMIT_MINUTES < GPU_TIMEOUT:
    raise ImproperlyConfigured("TOUCHSTONE_RUN_LIMIT_MINUTES must be more than 0 and less than a week.")
RUN_FINISHED_TASK = "evaluation.tasks.run_finished"  # woken when a run ends, so that a round goes on
MORE_FILTERS = [
    "training.browsing.BY_MODEL",
    "training.browsing.BY_SUGGESTION",
]  # of Browse, by what the annotators' room does not know
WRITTEN_BY = "training.browsing.written_by"  # which models gave an answer, for leads
SUGGESTED_TAGS = "training.suggestions.of_prompts"  # tags that classifiers suggest for prompts, for leads
TAGS_CHANGED = "training.suggestions.tags_changed"  # told that somebody put a tag on prompts, or took it off
ALIKE = "evaluation.alike.nearest"  # which answers the project's model reads like one
COUNT_TOKENS = "training.tokens.count"  # how long a conversation is for a project's model, told while people write
MORE_CHECKS = [  # of whole projects, by rooms that know more than annotation does
    "evaluation.label_errors.find",
    "training.toxicity.start_if_asked",
]
TOXICITY = "training.toxicity.told"  # what reads for toxicity, told on the page of findings
if os.environ.get("SENTRY_DSN"):
    sentry.start(os.environ["SENTRY_DSN"], ENVIRONMENT)
