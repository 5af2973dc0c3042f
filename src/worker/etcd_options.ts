/**
 * The options of a connection to etcd.
 *
 * @module
 */
import type { OptionRow } from "../engine/option.ts";

/** Their rows, in the order in which help shows them. */
export const ETCD_OPTIONS: readonly OptionRow[] = [
  {
    key: "etcdEndpoints",
    env: "ETCD_ENDPOINTS",
    type: "string",
    default: "http://localhost:2379",
    group: "etcd",
    help: "endpoints for --discovery-backend etcd, http:// or https://, joined by commas",
  },
  {
    key: "etcdLeaseTtlSeconds",
    env: "ETCD_LEASE_TTL",
    type: "integer",
    default: 30,
    min: 1,
    max: 9_000_000,
    unit: "seconds",
    group: "etcd",
    help: "how long records outlive a worker that is gone",
  },
  {
    key: "etcdUsername",
    env: "ETCD_AUTH_USERNAME",
    type: "string",
    group: "etcd",
    help: "user; needs a password",
  },
  {
    key: "etcdPassword",
    env: "ETCD_AUTH_PASSWORD",
    type: "string",
    group: "etcd",
    help: "password of the user",
  },
  {
    key: "etcdTlsCa",
    env: "ETCD_AUTH_CA",
    type: "string",
    group: "etcd",
    help: "authorities for https://, as PEM text or a file with it; those of the system when unset",
  },
  {
    key: "etcdTlsCert",
    env: "ETCD_AUTH_CLIENT_CERT",
    type: "string",
    group: "etcd",
    help: "the worker's certificate for https://, as PEM text or a file with it",
  },
  {
    key: "etcdTlsKey",
    env: "ETCD_AUTH_CLIENT_KEY",
    type: "string",
    group: "etcd",
    help: "key of that certificate, as PEM text or a file with it",
  },
  {
    key: "etcdConnectTimeoutSeconds",
    env: "ETCD_STARTUP_CONNECT_TIMEOUT_SECONDS",
    type: "number",
    default: 120,
    min: 0,
    unit: "seconds",
    group: "etcd",
    help: "time to wait for etcd at the start; 0 = one attempt",
  },
  {
    key: "etcdKeepAliveIntervalSeconds",
    env: "ETCD_KEEPALIVE_INTERVAL_SECONDS",
    type: "number",
    default: 15,
    min: 0,
    unit: "seconds",
    group: "etcd",
    help: "time between two looks at whether etcd is behind a silent watch; 0 = never",
  },
  {
    key: "etcdKeepAliveTimeoutSeconds",
    env: "ETCD_KEEPALIVE_TIMEOUT_SECONDS",
    type: "number",
    default: 10,
    min: 0.1,
    unit: "seconds",
    group: "etcd",
    help: "how long such a look may take",
  },
];
