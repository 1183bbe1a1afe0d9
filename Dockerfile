# The demonstration on a processor:
#   docker build -t reslab .
#   docker run --rm -v "$PWD/reports:/lab/reports" reslab
# Any other command: docker run --rm reslab networks
FROM python:3.13-slim

COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY src /src/src
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
      "$(grep '^torch==' /src/constraints.txt)" \
 && pip install --no-cache-dir --constraint /src/constraints.txt /src

WORKDIR /lab
ENTRYPOINT ["reslab"]
CMD ["demo"]
