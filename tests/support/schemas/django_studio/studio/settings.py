"""Settings of the sample: one database, named by its URL."""

import os
from urllib.parse import urlsplit

URL = urlsplit(os.environ.get("STUDIO_DATABASE_URL", "postgresql://nobody@nowhere/studio"))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": URL.path.removeprefix("/"),
        "HOST": URL.hostname,
        "PORT": str(URL.port or 5432),
        "USER": URL.username,
        "PASSWORD": URL.password or "",
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes", "people", "work"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "of a sample"
USE_TZ = True
