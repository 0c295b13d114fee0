"""All addresses of the console."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("console.sign_in_urls")),
    path("", include("console.page_urls")),
]

handler500 = "console.views.faults.server_error"
#: Not Django's but allauth's: what is answered when somebody tries too often.
handler429 = "console.views.limits.too_many"
