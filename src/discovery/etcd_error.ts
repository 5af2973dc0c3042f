/**
 * Why a call to etcd failed, in words that say what to do about it.
 *
 * @module
 */

/** What failed: nobody answered, or what answered refused. */
export type EtcdFault = "unreachable" | "busy" | "token" | "refused" | "missing" | "taken";

/** A call to etcd that failed. */
export class EtcdError extends Error {
  /**
   * - `unreachable`: no answer came.
   * - `busy`: etcd cannot answer now, as without a leader.
   * - `token`: etcd wants another token.
   * - `missing`: what was named is not there, such as a lease.
   * - `taken`: a lease of that number is there already.
   * - `refused`: the same call will be refused again.
   */
  readonly fault: EtcdFault;

  /** Makes an error. */
  constructor(fault: EtcdFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EtcdError";
    this.fault = fault;
  }

  /** Whether the same call may succeed later, or on another member. */
  get isPassing(): boolean {
    return this.fault === "unreachable" || this.fault === "busy";
  }
}

/** Status codes of gRPC. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;
/** Codes of calls that are in vain however often they are made; the rest may pass. */
const FINAL = [INVALID_ARGUMENT, NOT_FOUND, 6, PERMISSION_DENIED, 9, 11, UNIMPLEMENTED];

/** What the gateway says of a call that failed: in a body of its own, or as the last line of a stream. */
interface GatewayError {
  readonly code: number;
  readonly message: string;
}

/** The error in a decoded body, if there is one. */
export function gatewayError(body: unknown): GatewayError | null {
  const { error, message, code } = (body ?? {}) as { error?: unknown; message?: unknown; code?: unknown };
  if (error === undefined) return null;
  if (typeof error === "object") {
    const nested = error as { grpc_code?: unknown; code?: unknown; message?: unknown } | null;
    return {
      code: Number(nested?.grpc_code ?? nested?.code ?? 0),
      message: String(nested?.message ?? "no reason given"),
    };
  }
  return { code: Number(code ?? 0), message: String(message ?? error) };
}

/** What a refusal means. */
export function refusal({ code, message }: GatewayError, user: string | null): EtcdError {
  const said = `etcd says "${message}"`;
  // A token is bound to a revision of etcd's list of users, too.
  if (code === UNAUTHENTICATED || /auth store is old/.test(message)) return new EtcdError("token", said);
  if (/user name is empty/.test(message)) {
    return new EtcdError("refused", `${said}: it wants to know who you are; set ETCD_AUTH_USERNAME and _PASSWORD`);
  }
  if (/authentication failed/.test(message)) {
    return new EtcdError("refused", `${said} to user ${user}: check ETCD_AUTH_USERNAME and ETCD_AUTH_PASSWORD`);
  }
  if (code === PERMISSION_DENIED) {
    return new EtcdError("refused", `${said}: user ${user} needs a role that may read and write the keys under v1/`);
  }
  if (code === NOT_FOUND) return new EtcdError("missing", said);
  if (/lease already exists/.test(message)) return new EtcdError("taken", said);
  return new EtcdError(FINAL.includes(code) ? "refused" : "busy", said);
}

/** What an answer means that is not the gateway's. */
export function strangeAnswer(status: number, contentType: string, body: string): EtcdError {
  const begin = body.replaceAll(/\s+/g, " ").trim().slice(0, 60);
  const what = `HTTP status ${status}, ${contentType || "no content type"}: ${JSON.stringify(begin)}`;
  if (status >= 500 || status === 408 || status === 429) return new EtcdError("busy", `it answers ${what}`);
  if (status === 404 && contentType === "text/plain") {
    return new EtcdError(
      "refused",
      `its JSON gateway is off, or this is not etcd (${what}): start etcd without --enable-grpc-gateway=false`,
    );
  }
  return new EtcdError("refused", `this is not etcd (${what}): check ETCD_ENDPOINTS, and HTTP_PROXY if that is set`);
}

/** Why no answer came, in the same words on every runtime as far as it can be told. */
export function connectionFault(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { message = String(inner), code = "" } = inner as { message?: string; code?: unknown };
  // Deno repeats the address, Bun gives advice to programmers.
  const said = message.replace(/^error sending request.*?\): (?=\S)/, "").replace(/ For more information, pass .*/, "");
  if (/refused/i.test(`${said} ${code}`)) return "nothing listens there";
  if (/dns|lookup|ENOTFOUND|FailedToOpenSocket/i.test(`${said} ${code}`)) {
    return "its name leads nowhere, or nothing listens there";
  }
  if (/cert|tls|handshake/i.test(`${said} ${code}`)) {
    return `no encrypted connection comes about (${said}): check ETCD_AUTH_CA, ETCD_AUTH_CLIENT_CERT and _KEY`;
  }
  if (/closed|reset/i.test(said)) return `the connection broke off (${said}); does it want https://?`;
  return said;
}
