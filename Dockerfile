# The pages: Node.js stays here.
FROM node:24-slim AS pages
WORKDIR /source/dashboard
COPY dashboard/package.json dashboard/package-lock.json dashboard/.npmrc ./
RUN npm ci
COPY dashboard/ ./
RUN npm run build

# The wheel, built by the locked hatchling; it holds pages and migrations.
FROM python:3.13-slim AS wheel
WORKDIR /source
COPY requirements/run.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY migrations/ migrations/
COPY server/ server/
COPY workers/ workers/
COPY --from=pages /source/server/waypost/web/ server/waypost/web/
RUN hatchling build -t wheel -d /wheels

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 \
    WAYPOST_HOST=0.0.0.0 \
    WAYPOST_PORT=8080 \
    WAYPOST_LOG_FORMAT=json
COPY requirements/base.txt /tmp/base.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/base.txt
COPY --from=wheel /wheels/ /tmp/wheels/
RUN pip install --no-cache-dir --no-deps /tmp/wheels/waypost-*.whl \
 && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin waypost
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['WAYPOST_PORT']}/livez\", timeout=2)"]
CMD ["waypost", "serve"]
