#!/usr/bin/env bash
# Builds the image of deploy/Containerfile without a container engine and without a registry of images, and runs it as a
# cluster would: no root, no capability, a read-only root, beside Dynamo's frontend.
#
# The bases that the file names are stood in for by Debian's packages: debootstrap for the one that builds, the C library
# for the one that runs. Needs root, Debian's buildah, runc and debootstrap, bun on the PATH, and STATOR_PEERS.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in buildah runc debootstrap bun dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "There is no $tool; on Debian: apt-get install buildah runc debootstrap" >&2; exit 2; }
done
python=${STATOR_PEERS:?names no folder; test/support/peers/setup.sh makes one}/dynamo-1.6.1/bin/python
certificates=/etc/ssl/certs/ca-certificates.crt
export STORAGE_DRIVER=vfs

work=$(mktemp -d)
frontend=
cleanup() {
  [[ -n $frontend ]] && kill "$frontend" 2>/dev/null
  runc delete -f stator-image 2>/dev/null
  buildah rm --all >/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

# base <name> <folder> [line...]: an image of a folder.
base() {
  local name=$1 folder=$2
  shift 2
  printf '%s\n' 'FROM scratch' 'COPY . /' "$@" >"$work/Containerfile"
  buildah bud --isolation chroot --quiet -f "$work/Containerfile" -t "$name" "$folder" >/dev/null
}

from=($(sed -nE 's/^FROM (\S+).*/\1/p' deploy/Containerfile))
debootstrap --variant=minbase bookworm "$work/build" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/debootstrap.log"
install -D "$(readlink -f "$(command -v bun)")" "$work/build/usr/local/bin/bun"
install -D "$certificates" "$work/build$certificates"
base "${from[0]}" "$work/build" "ENV NODE_EXTRA_CA_CERTS=$certificates"
mkdir -p "$work/packages" "$work/run/tmp"
(cd "$work/packages" && apt-get download libc6 base-files netbase tzdata) >/dev/null 2>&1
for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/run"; done
chmod 1777 "$work/run/tmp"
base "${from[1]}" "$work/run"

git clone -q . "$work/source"
buildah bud --isolation chroot --pull-never -f deploy/Containerfile -t stator "$work/source" | tail -n 12
root=$(buildah mount "$(buildah from --pull-never localhost/stator)")

mkdir -p "$work/bundle" "$work/store"
chmod 1777 "$work/store"
chmod 755 "$work"
(cd "$work/bundle" && runc spec)
ROOT=$root STORE=$work/store "$python" - "$work/bundle/config.json" <<'PYTHON'
import json, os, sys

path = sys.argv[1]
spec = json.load(open(path))
spec["root"] = {"path": os.environ["ROOT"], "readonly": True}
spec["process"] |= {"terminal": False, "user": {"uid": 65532, "gid": 65532}, "noNewPrivileges": True}
spec["process"]["args"] = ["/usr/local/bin/worker"]
spec["process"]["env"] = ["DYN_SYSTEM_PORT=19090", "DYN_DISCOVERY_BACKEND=file", "DYN_FILE_KV=/store"]
spec["process"]["capabilities"] = {name: [] for name in spec["process"]["capabilities"]}
spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] not in ("network", "cgroup")]
spec["linux"].pop("resources", None)
spec["mounts"] = [one for one in spec["mounts"] if not one["destination"].startswith("/sys")]
spec["mounts"].append({"destination": "/store", "type": "bind", "source": os.environ["STORE"], "options": ["rbind", "rw"]})
json.dump(spec, open(path, "w"))
PYTHON

runc run --bundle "$work/bundle" stator-image &
worker=$!
DYN_DISCOVERY_BACKEND=file DYN_FILE_KV=$work/store DYN_REQUEST_PLANE=tcp DYN_EVENT_PLANE=zmq \
  "$python" -m dynamo.frontend --http-port 18090 >"$work/frontend.log" 2>&1 &
frontend=$!
body='{"model":"stator-sample","messages":[{"role":"user","content":"Hello"}],"max_tokens":8}'
answer=$(curl -sSf --retry 60 --retry-delay 1 --retry-all-errors -H 'content-type: application/json' -d "$body" \
  http://127.0.0.1:18090/v1/chat/completions 2>/dev/null)
echo "$answer"
grep -q '"finish_reason":"length"' <<<"$answer"
curl -sSf http://127.0.0.1:19090/health && echo
runc kill stator-image TERM
wait "$worker"
[[ -z $(find "$work/store" -type f -path '*v1*' ! -name '*.lock') ]]
echo "image: built, served without root on a read-only root, ended with code 0 and left no record"
