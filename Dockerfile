# The environment of the book, with everything that `make` needs.
#
#   docker build -t uspl .                                         # on the CPU
#   docker build -t uspl --build-arg BASE=nvidia/cuda:13.0.2-base-ubuntu24.04 .  # then: docker run --gpus all
#   docker build -t uspl --target conda .                          # by environment.yml
#   docker run --rm -p 8888:8888 uspl                              # the notebooks, in JupyterLab
#
# PIP_EXTRA_INDEX_URL may name an index with a PyTorch for the CPU alone, which is a fifth of the size.
ARG BASE=python:3.11-slim-bookworm
ARG CONDA_BASE=mambaorg/micromamba:2.3.2-debian12-slim

FROM ${CONDA_BASE} AS conda
USER root
# The security updates of the day are wanted, not a version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /uspl
COPY . .
ENV PIP_NO_CACHE_DIR=1 VENV=""
RUN micromamba install -y -n base -f environment.yml \
    && micromamba clean -ay \
    && chown -R "$MAMBA_USER" /uspl
USER ${MAMBA_USER}
ENV PATH=/opt/conda/bin:$PATH
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--notebook-dir=notebooks"]

FROM ${BASE} AS pip
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates git make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --shell /bin/bash uspl \
    && mkdir /uspl /venv \
    && chown uspl /uspl /venv
USER uspl
WORKDIR /uspl
COPY --chown=uspl . .
# Outside the folder of the sources, so that these may be mounted over it.
ENV VENV=/venv PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1
ARG PIP_EXTRA_INDEX_URL
RUN make install
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--notebook-dir=notebooks"]
