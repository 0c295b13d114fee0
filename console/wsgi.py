"""The WSGI application for web servers."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

application = get_wsgi_application()

# What is loaded now stays for as long as the process does. Otherwise one page in some dozens would wait while the
# collector looks through all of it.
gc.collect()
gc.freeze()
