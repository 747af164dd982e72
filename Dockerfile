# The course with its grader, as one image. Two targets from the one lock:
#
#   docker build --target cuda -t nimble:cuda .
#   docker build --target cpu  -t nimble:cpu  .
#   docker run --rm -v /srv/course:/course --gpus all \
#       --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
#       nimble:cuda grade a04_flash_attention
#
# /srv/course is a clone of the course: what is submitted, ledger, gradebook and secret are there and never in the image.
# The three options let bubblewrap make namespaces inside of the container, as a user without rights; without a command
# `autograder doctor` says whether it can, and which option is missing.
#
# Without a network: first `pip wheel -r requirements.txt -w wheels`, then build with --network none and a BASE that has the
# packages named below.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS system
RUN command -v bwrap git make python3 || { apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates git make python3-venv \
    && rm -rf /var/lib/apt/lists/*; }
ENV VIRTUAL_ENV=/opt/nimble PATH=/opt/nimble/bin:$PATH PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv $VIRTUAL_ENV

# COPY takes `wheels` where there is one
FROM system AS install-cuda
COPY requirements.txt wheels* /wheels/
RUN if ls /wheels/*.whl; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; fi \
    && pip install --no-cache-dir -r /wheels/requirements.txt

# The same versions without what only a GPU needs; torch of the same version as built without CUDA.
FROM system AS install-cpu
COPY requirements.txt wheels* /wheels/
RUN sed -i -E '/^(cuda-|nvidia-)/d' /wheels/requirements.txt \
    && if ls /wheels/*.whl; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; \
       else export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu; fi \
    && pip install --no-cache-dir -r /wheels/requirements.txt

FROM system AS course
COPY . /course
RUN useradd --uid 1000 --create-home grader && chown -R grader /course
WORKDIR /course
ENTRYPOINT ["autograder"]
CMD ["doctor"]

FROM course AS cpu
COPY --from=install-cpu /opt/nimble /opt/nimble
RUN pip install --no-cache-dir --no-index --no-deps --no-build-isolation -e /course -e /course/autograder
USER grader

FROM course AS cuda
COPY --from=install-cuda /opt/nimble /opt/nimble
RUN pip install --no-cache-dir --no-index --no-deps --no-build-isolation -e /course -e /course/autograder
USER grader
