/**
 * How a project runs in containers: the image, a stack for one machine, a graph deployment for a cluster.
 *
 * On one machine etcd and NATS are part of the stack; in a cluster Dynamo's operator says where discovery is.
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
# They find each other through etcd; requests go over TCP, KV events over NATS.
services:
  etcd:
    image: quay.io/coreos/etcd:v3.5.21
    command: ["etcd", "--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://etcd:2379"]

  nats:
    image: docker.io/library/nats:2.11-alpine

  frontend:
    image: nvcr.io/nvidia/ai-dynamo/dynamo-frontend:1.6.1
    command: ["python3", "-m", "dynamo.frontend", "--http-port", "8000"]
    depends_on: [etcd, nats]
    environment: &stack
      DYN_DISCOVERY_BACKEND: etcd
      ETCD_ENDPOINTS: http://etcd:2379
      DYN_REQUEST_PLANE: tcp
      DYN_EVENT_PLANE: nats
      NATS_SERVER: nats://nats:4222
    ports: ["8000:8000"]

  worker:
    image: {{name}}:0.1.0
    build:
      context: {{context}}
      dockerfile: {{containerfile}}
    depends_on: [etcd, nats]
    deploy:
      replicas: 2
    environment:
      <<: *stack
      DYN_SYSTEM_PORT: "9090"
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    # Timeout and grace of a shutdown are 35 s, see docs/operations.md of Stator; the default of 10 s would cut it short.
    stop_grace_period: 40s
`;

/** `graph.yaml`. */
export const GRAPH = `# A frontend and two workers for the operator of Dynamo 1.6: kubectl apply -f graph.yaml
# The operator tells all components how they find each other, through the cluster unless it is set up with etcd.
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
          containers:
            - name: main
              image: nvcr.io/nvidia/ai-dynamo/dynamo-frontend:1.6.1
              env:
                - { name: DYN_REQUEST_PLANE, value: tcp }
    - name: Worker
      type: worker
      replicas: 2
      podTemplate:
        spec:
          # More than timeout and grace below, and some seconds for the runtime to end.
          terminationGracePeriodSeconds: 45
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: main
              image: {{name}}:0.1.0
              env:
                - { name: DYN_SYSTEM_PORT, value: "9090" }
                - { name: DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT, value: "30" }
                - { name: DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS, value: "5" }
              ports:
                - { name: system, containerPort: 9090 }
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
