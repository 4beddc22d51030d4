# A gpu worker. PyTorch's wheels bring CUDA's libraries along, so the host needs NVIDIA's driver and container toolkit alone.
# Without a GPU it works too, slowly.
#
#     docker build -f docker/worker.Dockerfile -t touchstone-worker .
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    PATH=/opt/venv/bin:$PATH TOUCHSTONE_ENV=production TOUCHSTONE_VAR=/var/lib/touchstone Q_CLUSTER_NAME=gpu \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /srv/touchstone
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv /opt/venv && pip install -c constraints.txt '.[training,suites,s3,sentry]'
COPY . .
RUN useradd --system --uid 10001 --home-dir /var/lib/touchstone --create-home touchstone

USER 10001
VOLUME /var/lib/touchstone
CMD ["python", "manage.py", "qcluster"]
