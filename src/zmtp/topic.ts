/**
 * Topics as text or bytes.
 *
 * @module
 */

/** The bytes of a topic; text is UTF-8. */
export function topicBytes(topic: string | Uint8Array): Uint8Array {
  return typeof topic === "string" ? new TextEncoder().encode(topic) : topic.slice();
}
