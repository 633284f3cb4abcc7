# The image of all commands; `stratos controller`, `stratos doorman` and `stratos agent` run in it.
#   docker build -t stratos .
FROM python:3.11-slim AS build

COPY requirements.lock pyproject.toml README.md LICENSE /source/
COPY src /source/src
COPY examples /source/examples
# The lock pins more than is needed here, and pip takes no hashes for what it builds itself: so its versions alone.
RUN sed -nE 's/^([A-Za-z0-9._-]+==.*) \\$/\1/p' /source/requirements.lock > /source/versions.txt \
 && python -m venv /opt/stratos \
 && /opt/stratos/bin/pip install --no-cache-dir --constraint /source/versions.txt '/source[aws,tracing]' \
 && /opt/stratos/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim

COPY --from=build /opt/stratos /opt/stratos
ENV PATH=/opt/stratos/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Nobody in particular, with nothing to write but /tmp: the root of the file system may be read-only.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["stratos"]
