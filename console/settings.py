"""All settings, driven by the environment as twelve-factor apps are; every secret can also come from a file, `NAME_FILE`.

Outside development (`LOCKGATE_ENV=development`) a missing or weak secret stops the start with a sentence that says what to
do. docs/configuration.md lists the variables; `tests/console/test_settings.py` compares the two.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from access.intervals import EVERY
from console.environment import Environment
from console.logs import logging_settings
from people.sso.providers import read_providers

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
DEVELOPMENT = env.is_development

# -- Lockgate ---------------------------------------------------------------------------------------------------------

LOCKGATE_ENCRYPTION_KEYS = env.encryption_keys()
LOCKGATE_BASE_URL = env.base_url()
#: How many proxies of ours stand in front, which add to X-Forwarded-For and say in X-Forwarded-Proto what the client used.
LOCKGATE_TRUSTED_PROXIES = env.trusted_proxies()
LOCKGATE_TICKET_URL = env.ticket_url()
#: The only folders from which `file:` may take the password of a server.
LOCKGATE_SECRET_FOLDERS = env.secret_folders()

# -- Django -----------------------------------------------------------------------------------------------------------

SECRET_KEY = env.secret_key()
DEBUG = env.bool("LOCKGATE_DEBUG", default=False) and DEVELOPMENT
ALLOWED_HOSTS = env.required(
    "LOCKGATE_ALLOWED_HOSTS",
    development="127.0.0.1,localhost,[::1],testserver",
    what="its host names, with commas between",
).split(",")
CSRF_TRUSTED_ORIGINS = [LOCKGATE_BASE_URL]
CSRF_FAILURE_VIEW = "console.views.faults.foreign_form"
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
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "django_structlog",
    "people",
    "access",
    "audit",
    "console",
]

MIDDLEWARE = [
    "console.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "console.middleware.PermissionsPolicyMiddleware",
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
    "console.sessions.LastSeenMiddleware",
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

# Django's own writes each field by a template or three.
FORM_RENDERER = "console.forms.quick.QuickRenderer"

# -- State: one PostgreSQL, one Redis -----------------------------------------------------------------------------------

DATABASES = {
    "default": {
        **env.database(),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # A transaction is what a service says it is, not what a page view happens to be.
        "ATOMIC_REQUESTS": False,
    }
}
# A database that is away is an error after seconds, not after the minutes that TCP would try.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 5,
    # The same for one that vanishes in the middle: without, a worker would wait for it for a quarter of an hour.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # Nothing is prepared unasked; None would mean not even what is asked for (`access.queries.written`).
    "prepare_threshold": sys.maxsize,
    **DATABASES["default"].get("OPTIONS", {}),
}

REDIS_URL = env.required("REDIS_URL", development="redis://127.0.0.1:6379/0", what="redis://host:6379/0")
CACHES = {"default": {"BACKEND": "console.caching.SteadyCache", "LOCATION": REDIS_URL}}

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
    "socket_keepalive": True,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker goes on by its own clock meanwhile.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CONSUMER = "console.consuming:LastingConsumer"
# Its logs are ours, redacted; see console/celery.py.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
# No message ends by itself (`expires`): that would compare beat's clock with a worker's. What was asked for twice is done once
# (`access.jobs`), and what is asked for in vain a worker does by its own clock (`access.own_clock`).
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "access.tick", "schedule": 1.0},
    **{name: {"task": f"access.{name}", "schedule": every} for name, every in EVERY.items()},
}
# The schedule is static, so beat has nothing to remember, and no file to write.
CELERY_BEAT_SCHEDULER = "console.beat:PatientScheduler"

# -- Signing in -----------------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["people.backends.LocalBackend"]
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

# -- Single sign-on: what the providers are and what they have to prove is in people/sso/ ----------------------------------

LOCKGATE_SSO = read_providers(env.text("LOCKGATE_SSO", ""), env.text, development=DEVELOPMENT)
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "provider_class": "console.sso.StrictProvider",
        "APPS": [provider.as_app() for provider in LOCKGATE_SSO.values()],
    }
}
SOCIALACCOUNT_ADAPTER = "console.sso.SocialAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_LOGIN_ON_GET = True  # our own view takes POST only, and asks no second time

# -- MFA and sessions -------------------------------------------------------------------------------------------------------

#: Approving on a production server, and changing how one signs in, take an authentication that is younger than this.
LOCKGATE_REAUTHENTICATE_AFTER = env.reauthenticate_after()
#: Who may sign in without an identity provider: see `people.local_sign_in`.
LOCKGATE_LOCAL_SIGN_IN = env.local_sign_in()
MFA_ADAPTER = "console.second_factor.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {"add_webauthn": "console.second_factor.AddPasskeyForm"}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_TOTP_ISSUER = "Lockgate"
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Addresses come from administrators and from SSO, and nobody changes their own.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Wrong passwords and codes are counted by the address they come from, and by the account they are tried on. Only this
# way in is held up by them: signing in through SSO, or with a passkey alone, asks neither of the two.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key", "reauthenticate": "10/m/user"}
MFA_RATE_LIMITS = {"webauthn_login": "10/m/ip"}
# `console.freshness` asks instead, by one rule for everything, and through SSO as well.
MFA_REAUTHENTICATION_REQUIRED = False

# -- The gateway: docs/gateway.md -------------------------------------------------------------------------------------------

LOCKGATE_GATEWAY_LISTEN = env.listen("LOCKGATE_GATEWAY_LISTEN", "127.0.0.1:6432")
#: What people type: `gateway.example.com:6432`; where it listens, unless somebody says otherwise.
LOCKGATE_GATEWAY_ADDRESS = env.text("LOCKGATE_GATEWAY_ADDRESS", "") or "{}:{}".format(*LOCKGATE_GATEWAY_LISTEN)
#: Networks of balancers that tell by the PROXY protocol whose connection they pass on, and have to.
LOCKGATE_GATEWAY_PROXIES = env.networks("LOCKGATE_GATEWAY_PROXIES")
#: Half of the processors: the kernel's side of each connection, the disk and the shipper need the others.
LOCKGATE_GATEWAY_WORKERS = env.count("LOCKGATE_GATEWAY_WORKERS", max(1, (os.cpu_count() or 1) // 2))
#: Paths of PEM files. Without a certificate the gateway takes connections from this machine alone.
LOCKGATE_GATEWAY_CERTIFICATE = env.text("LOCKGATE_GATEWAY_CERTIFICATE", "")
LOCKGATE_GATEWAY_KEY = env.text("LOCKGATE_GATEWAY_KEY", "")
#: Path of a PEM file with the certificate authority that clients verify the gateway by; empty: the public ones.
LOCKGATE_GATEWAY_CA = env.text("LOCKGATE_GATEWAY_CA", "")

# -- The gateway's record of statements: docs/gateway-record.md -------------------------------------------------------------

#: Where statements are recorded before they are in the database; its own folder for each machine.
LOCKGATE_GATEWAY_JOURNAL = env.gateway_journal(BASE_DIR / ".lockgate-journal")
#: How much of a worker's record may wait for the database; behind that the gateway refuses new statements.
LOCKGATE_GATEWAY_JOURNAL_MIB = env.count("LOCKGATE_GATEWAY_JOURNAL_MIB", 1024)
LOCKGATE_GATEWAY_JOURNAL_ENTRIES = env.count("LOCKGATE_GATEWAY_JOURNAL_ENTRIES", 4_000_000)
#: Under which the ends of the log and of the streams are signed; without one that is not done, and doctor says so.
LOCKGATE_CHECKPOINT_KEYS = env.checkpoint_keys()

# -- What goes over the wire ------------------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not DEVELOPMENT:
    SECURE_SSL_REDIRECT = env.bool("LOCKGATE_SSL_REDIRECT", default=True)
    if LOCKGATE_TRUSTED_PROXIES:
        # Only then is it the proxy that speaks: without one, anybody could say that their connection was encrypted.
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    # To be on the browsers' own lists is for the owner of the domain to ask, and takes months to undo.
    SECURE_HSTS_PRELOAD = env.bool("LOCKGATE_HSTS_PRELOAD", default=False)
    SILENCED_SYSTEM_CHECKS = [] if SECURE_HSTS_PRELOAD else ["security.W021"]
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-lockgate"
    CSRF_COOKIE_NAME = "__Host-csrf"
else:
    # Browsers keep one set of cookies for all ports of a host, and two consoles may run side by side.
    _port = urlsplit(LOCKGATE_BASE_URL).port or 80
    SESSION_COOKIE_NAME = f"lockgate-{_port}"
    CSRF_COOKIE_NAME = f"csrf-{_port}"
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
        # A browser holds the answer to a form to this too, and the sign-in form's answer leads to the provider.
        "form-action": [SELF, *sorted({provider.origin for provider in LOCKGATE_SSO.values()})],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("LOCKGATE_STATIC_ROOT", str(BASE_DIR / "staticfiles")))
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
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("LOCKGATE_MAIL_FROM", "Lockgate <lockgate@localhost>")

LOGGING = logging_settings(env.text("LOCKGATE_LOG_LEVEL", "INFO"))
