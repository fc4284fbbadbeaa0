# One image for coordinator, workers, exporter and the page. Built from the sources beside this file:
#   docker build -t replank .
FROM python:3.13.5-slim-bookworm AS builder
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY replank replank
COPY sql sql
COPY monitoring monitoring
COPY producer producer
COPY workers workers
COPY demo demo
RUN ["pip", "wheel", "--no-cache-dir", "--wheel-dir", "/wheels", ".[tracing]"]

FROM python:3.13.5-slim-bookworm
# No compiler, no sources, nobody's shell; a user of its own without a home that could be written to.
RUN ["useradd", "--system", "--uid", "10001", "--no-create-home", "--shell", "/usr/sbin/nologin", "replank"]
RUN ["install", "--directory", "--owner=replank", "--mode=0700", "/var/lib/replank"]
RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels \
    ["pip", "install", "--no-cache-dir", "--no-index", "--find-links=/wheels", "replank[tracing]"]
ENV PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/var/lib/replank \
    REPLANK_SECRETS_DIR=/run/secrets
USER 10001
# Exec form throughout: signals reach the program itself, so that a stopped worker ends its present jobs.
ENTRYPOINT ["replank"]
CMD ["--help"]
