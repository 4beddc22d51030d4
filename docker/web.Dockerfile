# The web server and the queue, without torch.
#
#     docker build -f docker/web.Dockerfile -t touchstone-web .
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    PATH=/opt/venv/bin:$PATH TOUCHSTONE_ENV=production \
    TOUCHSTONE_VAR=/var/lib/touchstone TOUCHSTONE_STATIC=/srv/static

WORKDIR /srv/touchstone
# The packages change seldom, the code often: so they are a layer of their own.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv /opt/venv && pip install -c constraints.txt '.[s3,sentry]'
COPY . .
# A volume belongs at first to whom the folder in the image belongs to.
RUN sh docker/collect.sh \
    && useradd --system --uid 10001 --home-dir /var/lib/touchstone --create-home touchstone \
    && install -d -o touchstone -m 700 /backups

USER 10001
VOLUME /var/lib/touchstone
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "docker/healthy.py", "http://127.0.0.1:8000/health/ready"]
CMD ["sh", "docker/web.sh"]
