# Image of workers with the original's Matlab code: our Python beside the image's own, which stays as it is.
#   docker build -f cluster/Dockerfile.matlab -t covis-dask-matlab .
# The base holds the Matlab runtime and `pycovis`. Its C library is older than that of our Python, so our Python
# brings its own (portable_python.sh) and asks nothing of the base.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG MATLAB_IMAGE=amarburg/covis-postprocess:latest

FROM ${PYTHON_IMAGE} AS packages
ARG PIP_CERT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
COPY cluster/portable_python.sh /src/cluster/
RUN sh /src/cluster/portable_python.sh /opt/python
RUN /opt/python/bin/python3 -m venv --without-pip /opt/covis && python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install "hatchling>=1.25" "hatch-vcs>=0.5" "setuptools-scm>=10.3"
COPY cluster/requirements.lock /src/cluster/
RUN /opt/tools/bin/pip --python /opt/covis install -r /src/cluster/requirements.lock \
 && find /opt/covis -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} + \
 && echo /opt/app >"$(/opt/covis/bin/python3 -c 'import site; print(site.getsitepackages()[0])')/covis.pth"

FROM packages AS app
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY catalog catalog
COPY cluster cluster
COPY covis_dask covis_dask
# There is no git here to ask for the version; without this it is pyproject.toml's fallback.
ARG SETUPTOOLS_SCM_PRETEND_VERSION
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
 && /opt/tools/bin/pip --python /opt/covis install --no-deps --no-index --target /opt/app /tmp/wheel/*.whl

FROM ${MATLAB_IMAGE}
USER root
# The image keeps `pycovis` under /root: readable, never writable, for our user.
RUN useradd --uid 10001 --create-home --home-dir /home/covis covis \
 && install -d -o covis -g covis /scratch && chmod -R a+rX /root
COPY --from=packages /opt/python /opt/python
COPY --from=packages /opt/covis /opt/covis
COPY --from=app /opt/app /opt/app
# What the image sets for Matlab is for the runner alone: our Python must not load Matlab's libraries.
ENV COVIS_MATLAB_ENV_LD_LIBRARY_PATH=$LD_LIBRARY_PATH COVIS_MATLAB_ENV_LD_PRELOAD=$LD_PRELOAD \
    COVIS_MATLAB_ENV_PYTHONPATH=$PYTHONPATH
ENV LD_LIBRARY_PATH="" LD_PRELOAD="" PYTHONPATH="" \
    PATH=/opt/app/bin:/opt/covis/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
    NUMBA_CACHE_DIR=/scratch/cache/numba MPLCONFIGDIR=/scratch/cache/matplotlib XDG_CACHE_HOME=/scratch/cache \
    DASK_COVIS__SCRATCH=/scratch DASK_TEMPORARY_DIRECTORY=/scratch \
    DASK_COVIS__MATLAB__PYTHON=/usr/bin/python3
USER 10001:10001
WORKDIR /home/covis
ENTRYPOINT []
CMD ["covis", "--help"]
