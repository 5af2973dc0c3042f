/**
 * How a project runs in containers: the image, a stack for one machine, a graph deployment for a cluster.
 *
 * Stator finds frontends through the file store, which tells of changes within one machine only. Compose shares it as a
 * volume; in a cluster a `ReadWriteOnce` claim does, and keeps the pods on one node.
 *
 * @module
 */

/** `Containerfile`. The executable needs a C library, so the base is one with nothing but that. */
export const CONTAINERFILE = `# One executable, and nothing else that runs: no shell, no package manager, no root.
FROM docker.io/oven/bun:1.4.5 AS build
WORKDIR /build
COPY . .
RUN bun install
RUN bun run build

# What Bun compiles is linked to the C library; a base without one, such as "static" or "scratch", cannot run it.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
COPY --from=build /build/dist/{{name}} /usr/local/bin/worker
USER 65532:65532
ENV DYN_SYSTEM_PORT=9090
EXPOSE 9090
ENTRYPOINT ["/usr/local/bin/worker"]
`;

/** `compose.yaml`. */
export const COMPOSE = `# A Dynamo frontend and two workers on one machine: docker compose up --build
# Frontend and workers find each other through files in a volume: this version of Stator has no etcd discovery.
# "docker compose --profile services up" starts NATS and etcd as well. Requests and events go over NATS with
# DYN_REQUEST_PLANE=nats, DYN_EVENT_PLANE=nats and NATS_SERVER=nats://nats:4222 for frontend and workers.
services:
  frontend:
    image: nvcr.io/nvidia/ai-dynamo/dynamo-frontend:1.6.1
    command: ["python3", "-m", "dynamo.frontend", "--http-port", "8000"]
    # The same user as the workers, or one could not write where the other made a folder.
    user: "65532:65532"
    environment:
      HOME: /tmp
      DYN_DISCOVERY_BACKEND: file
      DYN_FILE_KV: /store
      DYN_REQUEST_PLANE: tcp
      DYN_EVENT_PLANE: zmq
    volumes: ["store:/store"]
    ports: ["8000:8000"]

  worker:
    image: {{name}}:0.1.0
    build:
      context: {{context}}
      dockerfile: {{containerfile}}
    deploy:
      replicas: 2
    environment:
      DYN_DISCOVERY_BACKEND: file
      DYN_FILE_KV: /store
      DYN_SYSTEM_PORT: "9090"
    volumes: ["store:/store"]
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    # Timeout and grace of a shutdown are 35 s, see docs/operations.md of Stator; the default of 10 s would cut it short.
    stop_grace_period: 40s

  etcd:
    image: quay.io/coreos/etcd:v3.5.21
    profiles: [services]
    command: ["etcd", "--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://etcd:2379"]
    ports: ["2379:2379"]

  nats:
    image: docker.io/library/nats:2.11-alpine
    profiles: [services]
    command: ["-js"]
    ports: ["4222:4222"]

volumes:
  # In memory: records of processes that are gone mean nothing after a restart.
  store:
    driver: local
    driver_opts: { type: tmpfs, device: tmpfs, o: "mode=1777" }
`;

/** `graph.yaml`. */
export const GRAPH = `# A frontend and two workers for the operator of Dynamo 1.6: kubectl apply -f graph.yaml
# This version of Stator has no Kubernetes discovery, so that all components use the file store, whatever the operator
# would choose. File events stay on one machine: ReadWriteOnce keeps the pods on one node.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{name}}-store
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 64Mi
---
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata:
  name: {{name}}
spec:
  components:
    - name: Frontend
      type: frontend
      replicas: 1
      podTemplate:
        spec:
          securityContext: &pod-security
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            # The store's folder belongs to this group.
            fsGroup: 65532
            seccompProfile:
              type: RuntimeDefault
          volumes: &volumes
            - name: store
              persistentVolumeClaim:
                claimName: {{name}}-store
          containers:
            - name: main
              image: nvcr.io/nvidia/ai-dynamo/dynamo-frontend:1.6.1
              env:
                - { name: HOME, value: /tmp }
                - { name: DYN_DISCOVERY_BACKEND, value: file }
                - { name: DYN_FILE_KV, value: /store }
                - { name: DYN_REQUEST_PLANE, value: tcp }
              volumeMounts: &mounts
                - { name: store, mountPath: /store }
    - name: Worker
      type: worker
      replicas: 2
      podTemplate:
        spec:
          # More than timeout and grace below, and some seconds for the runtime to end.
          terminationGracePeriodSeconds: 45
          securityContext: *pod-security
          volumes: *volumes
          containers:
            - name: main
              image: {{name}}:0.1.0
              env:
                - { name: DYN_DISCOVERY_BACKEND, value: file }
                - { name: DYN_FILE_KV, value: /store }
                - { name: DYN_SYSTEM_PORT, value: "9090" }
                - { name: DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT, value: "30" }
                - { name: DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS, value: "5" }
              ports:
                - { name: system, containerPort: 9090 }
              volumeMounts: *mounts
              # An engine may load for a long time: 720 × 10 s. Nothing else is asked until it has started.
              startupProbe:
                httpGet: { path: /health, port: system }
                periodSeconds: 10
                failureThreshold: 720
              # /live fails while the event loop is blocked for STATOR_LIVENESS_LIMIT_SECS, 30 s unless said otherwise.
              livenessProbe:
                httpGet: { path: /live, port: system }
                periodSeconds: 5
                timeoutSeconds: 4
                failureThreshold: 3
              readinessProbe:
                httpGet: { path: /health, port: system }
                periodSeconds: 5
                timeoutSeconds: 4
                failureThreshold: 1
              # Of an engine that holds no weights in this process; add those, and nvidia.com/gpu if it uses one.
              resources:
                requests: { cpu: "1", memory: 256Mi }
                limits: { memory: 1Gi }
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
`;
