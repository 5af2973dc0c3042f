/**
 * Asks the built-in gateway of a child process.
 *
 * @module
 */
import { type Child, until } from "./processes.ts";

/** Waits until a worker's gateway answers; resolves to its address. */
export async function gatewayOf(child: Child): Promise<string> {
  const [, url = ""] = await child.waitFor(/Gateway listening on (http:\/\/[\w.:[\]]+)/, 30_000);
  await until("the gateway to know the model", 10_000, async () => (await modelsOf(url)).length > 0);
  return url;
}

/** Names of the models. */
export async function modelsOf(url: string): Promise<string[]> {
  const { data } = await (await fetch(`${url}/v1/models`)).json() as { data: { id: string }[] };
  return data.map(({ id }) => id);
}

/** The text of a completion of the only model. */
export async function complete(url: string, prompt: string, maxTokens: number): Promise<string> {
  const [model] = await modelsOf(url);
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, prompt, max_tokens: maxTokens }),
  });
  const body = await response.json() as { choices?: { text: string }[] };
  return body.choices?.[0]?.text ?? JSON.stringify(body);
}
