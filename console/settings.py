"""All settings, driven by the environment as twelve-factor apps are; every secret can also come from a file, `NAME_FILE`.

Outside development (`LOCKGATE_ENV=development`) a missing or weak secret stops the start with a sentence that says what to
do. The table of variables is in README.md; `tests/console/test_settings.py` compares the two.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()

LOCKGATE_ENV = env.str("LOCKGATE_ENV", default="production")
DEVELOPMENT = LOCKGATE_ENV == "development"
if LOCKGATE_ENV not in ("development", "production"):
    raise ImproperlyConfigured(f"LOCKGATE_ENV is {LOCKGATE_ENV!r}; set it to 'development' or 'production'.")


def _secret_key() -> str:
    key = env.str("LOCKGATE_SECRET_KEY", default="development-only" * 4 if DEVELOPMENT else "")
    if not DEVELOPMENT and (len(key) < 50 or len(set(key)) < 10):
        raise ImproperlyConfigured(
            "LOCKGATE_SECRET_KEY is missing or weak. Set it, or LOCKGATE_SECRET_KEY_FILE, to at least 50 random"
            " characters: python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"
        )
    return str(key)


def _encryption_keys() -> list[str]:
    #: A fixed key for development, so that a restart can still read what it stored. Never accepted in production.
    well_known = "bG9ja2dhdGUtZGV2ZWxvcG1lbnQtb25seS1rZXktMDE="
    text = env.str("LOCKGATE_ENCRYPTION_KEYS", default=well_known if DEVELOPMENT else "")
    keys = [key.strip() for key in text.split(",") if key.strip()]
    try:
        usable = bool(keys) and all(Fernet(key) for key in keys)
    except ValueError:
        usable = False
    if not usable or (not DEVELOPMENT and well_known in keys):
        raise ImproperlyConfigured(
            "LOCKGATE_ENCRYPTION_KEYS is missing or not usable. Set it, or LOCKGATE_ENCRYPTION_KEYS_FILE, to one or more"
            " Fernet keys, newest first, with commas between: python3 -c"
            " 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        )
    return keys


def _required(name: str, development: str, what: str) -> str:
    value = env.str(name, default=development if DEVELOPMENT else "")
    if not value:
        raise ImproperlyConfigured(f"{name} is missing. Set it, or {name}_FILE, to {what}.")
    return str(value)


# -- Lockgate ---------------------------------------------------------------------------------------------------------

LOCKGATE_ENCRYPTION_KEYS = _encryption_keys()
#: How many proxies of ours stand in front and add to X-Forwarded-For; the audit trail takes the address from there.
LOCKGATE_TRUSTED_PROXIES = env.int("LOCKGATE_TRUSTED_PROXIES", default=0)
LOCKGATE_BASE_URL = _required("LOCKGATE_BASE_URL", "http://127.0.0.1:8000", "the address people type").rstrip("/")

# -- Django -----------------------------------------------------------------------------------------------------------

SECRET_KEY = _secret_key()
DEBUG = env.bool("LOCKGATE_DEBUG", default=False) and DEVELOPMENT
ALLOWED_HOSTS = _required("LOCKGATE_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver", "its host names").split(",")
CSRF_TRUSTED_ORIGINS = [LOCKGATE_BASE_URL]
ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
ASGI_APPLICATION = "console.asgi.application"
AUTH_USER_MODEL = "people.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
# Everything is in one language for now, and a browser's wish must not change how dates are read.
USE_I18N = False

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "django_structlog",
    "people",
    "access",
    "audit",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "console.health.HealthMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "console.middleware.OriginMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.shell.shell",
            ],
        },
    }
]

# -- State: one PostgreSQL, one Redis -----------------------------------------------------------------------------------

DATABASES = {
    "default": env.db_url_config(
        _required("DATABASE_URL", "postgresql:///lockgate", "postgresql://user:password@host:5432/lockgate")
    )
}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = _required("REDIS_URL", "redis://127.0.0.1:6379/0", "redis://host:6379/0")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# -- Workers ------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "grants"
CELERY_TASK_ROUTES = {"access.tick": {"queue": "clock"}}
# A message is done when its work is done, also when the worker dies in between.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,  # above the longest task, or it would be delivered twice
    "socket_connect_timeout": 2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE = {
    # A tick that waited longer than it takes for the next one to come is of no use.
    "tick": {"task": "access.tick", "schedule": 1.0, "options": {"expires": 5}},
    "sweep": {"task": "access.sweep", "schedule": timedelta(minutes=10), "options": {"expires": 500}},
    "verify_audit": {"task": "access.verify_audit", "schedule": timedelta(hours=1), "options": {"expires": 3000}},
    "check_servers": {"task": "access.check_servers", "schedule": timedelta(minutes=1), "options": {"expires": 50}},
}
# The schedule is static, so beat has nothing to remember, and no file to write.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"

# -- Signing in -----------------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "console.accounts.AccountAdapter"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# -- What goes over the wire ------------------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not DEVELOPMENT:
    SECURE_SSL_REDIRECT = env.bool("LOCKGATE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-lockgate"
    CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_COOKIE_HTTPONLY = False

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # Tabler draws its form icons as data URLs in its style sheet
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("LOCKGATE_STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEVELOPMENT and not env.bool("LOCKGATE_STATIC_HASHED", default=False)
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEVELOPMENT

# -- Mail and logs ------------------------------------------------------------------------------------------------------------

vars().update(env.email_url("EMAIL_URL", default="consolemail://" if DEVELOPMENT else "smtp://127.0.0.1:25"))
DEFAULT_FROM_EMAIL = env.str("LOCKGATE_MAIL_FROM", default="Lockgate <lockgate@localhost>")

from console.logs import LOGGING  # noqa: E402, F401 - configured beside its redaction processor
