/**
 * The options of a connection to NATS.
 *
 * @module
 */
import type { OptionRow } from "../engine/option.ts";

/** Their rows, in the order in which help shows them. */
export const NATS_OPTIONS: readonly OptionRow[] = [
  {
    key: "natsServer",
    env: "NATS_SERVER",
    type: "string",
    default: "nats://localhost:4222",
    group: "NATS",
    help: "servers for --request-plane and --event-plane nats, nats:// or tls://, joined by commas",
  },
  {
    key: "natsUsername",
    env: "NATS_AUTH_USERNAME",
    type: "string",
    group: "NATS",
    help: "user; user:password in the URL goes first; user/user when nothing is set",
  },
  {
    key: "natsPassword",
    env: "NATS_AUTH_PASSWORD",
    type: "string",
    group: "NATS",
    help: "password of the user",
  },
  {
    key: "natsToken",
    env: "NATS_AUTH_TOKEN",
    type: "string",
    group: "NATS",
    help: "token, when there is no user and password",
  },
  {
    key: "natsNkey",
    env: "NATS_AUTH_NKEY",
    type: "string",
    group: "NATS",
    help: "seed of an NKey, when there is no token either",
  },
  {
    key: "natsCredentialsFile",
    env: "NATS_AUTH_CREDENTIALS_FILE",
    type: "string",
    group: "NATS",
    help: "file with credentials, when there is nothing else",
  },
  {
    key: "natsTlsCaFile",
    env: "NATS_TLS_CA_CERT_PATH",
    type: "string",
    group: "NATS",
    help: "PEM file with authorities for tls://; those of the system when unset",
  },
  {
    key: "natsTlsCertFile",
    env: "NATS_TLS_CLIENT_CERT_PATH",
    type: "string",
    group: "NATS",
    help: "PEM file with the worker's certificate for tls://",
  },
  {
    key: "natsTlsKeyFile",
    env: "NATS_TLS_CLIENT_KEY_PATH",
    type: "string",
    group: "NATS",
    help: "PEM file with the key of that certificate",
  },
  {
    key: "natsTlsInsecure",
    env: "NATS_TLS_INSECURE",
    type: "boolean",
    default: false,
    group: "NATS",
    help: "take any certificate of a tls:// server",
  },
  {
    key: "natsConnectTimeoutSeconds",
    env: "NATS_STARTUP_CONNECT_TIMEOUT_SECONDS",
    type: "number",
    default: 120,
    min: 0,
    unit: "seconds",
    group: "NATS",
    help: "time to wait for NATS at the start; 0 = one attempt",
  },
];
