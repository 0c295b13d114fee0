# One image for web, worker, beat and gateway; the compose file says which it is.
FROM node:22-bookworm-slim AS front-end
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim-bookworm AS packages
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /venv
COPY requirements.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock

# What every statement through the gateway passes through, as extension modules: docs/adr/0013.
FROM packages AS compiled
COPY requirements-compile.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements-compile.lock
WORKDIR /app
COPY access ./access
COPY audit ./audit
COPY connectors ./connectors
COPY deploy ./deploy
COPY gateway ./gateway
RUN /venv/bin/python -m deploy.compiling /extensions

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgssapi-krb5-2 libltdl7 libmariadb3 libodbc2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /app lockgate \
    && install -d -m 700 -o lockgate -g lockgate /var/lib/lockgate/journal
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOCKGATE_STATIC_ROOT=/app/staticfiles
COPY --from=packages /venv /venv
COPY manage.py ./
COPY access ./access
COPY audit ./audit
COPY connectors ./connectors
COPY console ./console
COPY deploy ./deploy
COPY gateway ./gateway
COPY people ./people
COPY --from=compiled /extensions ./
COPY static ./static
COPY templates ./templates
COPY --from=front-end /app/node_modules ./node_modules
# The front-end files go where the style sheets expect them, and get names that carry their hash. The environment is for
# this one command, which reads no secret; the image carries none.
RUN python -m deploy.front_end \
    && LOCKGATE_ENV=development LOCKGATE_STATIC_HASHED=1 python manage.py collectstatic --no-input --verbosity=0 \
    && rm -rf node_modules
USER lockgate
EXPOSE 8000
CMD ["gunicorn", "console.wsgi:application", "--bind=0.0.0.0:8000", "--workers=2", "--threads=4", "--no-control-socket"]
