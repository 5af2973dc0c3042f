/** Small words for tests that speak to the gateway. */

/** Whatever an answer holds. */
// deno-lint-ignore no-explicit-any
export type Json = any;

/** A chat every model understands. */
export const CHAT = { model: "tiny", messages: [{ role: "user", content: "hi" }] };
export const CHAT_PATH = "/v1/chat/completions";

/** Ids of printable ASCII text in the built-in model. */
export function ids(text: string): number[] {
  return Array.from(text, (letter) => letter === " " ? 220 : letter.charCodeAt(0) - 33);
}

/** The body of an answer. */
export async function json(response: Response): Promise<Json> {
  return await response.json();
}
