# One image for the dashboard, the worker and the tracking server of docker-compose.yml: they share
# the same pinned libraries, so the MLflow client and its server are never of two versions.
FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet

WORKDIR /app

# Before the source, so that a change of the source does not install everything again.
COPY requirements.txt .
RUN python -m pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

# An account without rights; the folders that volumes are mounted on belong to it, and a new volume
# takes that over.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin modeldeck \
    && install --directory --owner=modeldeck --group=modeldeck \
        /var/lib/modeldeck /var/lib/mlflow

COPY .streamlit .streamlit
COPY core core
COPY pages pages
COPY app.py ./

USER modeldeck
ENV MODELDECK_HOME=/var/lib/modeldeck
EXPOSE 8501
CMD ["python", "-m", "core", "run"]
