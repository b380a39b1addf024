# CPU image: docker build -t gains-harness .
# docker run --rm -v "$PWD":/work gains-harness ask reviews.csv
FROM python:3.11-slim
# LightGBM and FLAML need the system's OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
# The CPU build of torch; the one that pip takes by itself comes with several gigabytes of CUDA.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
COPY . /src
# Extras beside the core: docker build --build-arg EXTRAS=weak,tables .
ARG EXTRAS=""
RUN pip install -c /src/constraints.txt "/src${EXTRAS:+[$EXTRAS]}"
WORKDIR /work
ENTRYPOINT ["harness"]
CMD ["--help"]
