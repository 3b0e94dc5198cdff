# One image, three commands: serve, worker, migrate. PostgreSQL and Redis are elsewhere (see compose.yaml).
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TIDEMARK_HOST=0.0.0.0 TIDEMARK_PORT=8080

WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

# schema.sql and migrations are read from beside the packages, so the tree is installed in place.
COPY pyproject.toml README.md schema.sql ./
COPY migrations ./migrations
COPY history ./history
COPY server ./server
COPY worker ./worker
COPY cli ./cli
RUN pip install --no-cache-dir --no-build-isolation --no-deps --editable . \
    && useradd --system --no-create-home --shell /usr/sbin/nologin tidemark \
    && install --directory --owner=tidemark --mode=0700 /var/lib/tidemark

USER tidemark
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]

ENTRYPOINT ["tidemark"]
CMD ["serve"]
