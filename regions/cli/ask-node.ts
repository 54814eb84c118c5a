/** Where a node is asked that no URL names. */
export const DEFAULT_URL = "http://127.0.0.1:8080";
/** Longer than a node takes for anything that it is asked here. */
const WAIT_MS = 12_000;

/** What is asked of a node over HTTP. */
export interface NodeQuestion {
  readonly path: string;
  /** Names it in errors: "its status". */
  readonly what: string;
  readonly token: string | undefined;
  /** Posted as JSON; absent, the path is got. */
  readonly post?: object;
}

/** What a node answered, its JSON parsed; undefined in place of what is no JSON. */
export interface NodeAnswer {
  readonly origin: string;
  readonly body: unknown;
}

/** Asks a region node. Throws an error that says what to do when there is none, or when it refuses. */
export async function askNode(url: string, { path, what, token, post }: NodeQuestion): Promise<NodeAnswer> {
  const target = URL.parse(path, /^https?:\/\//.test(url) ? url : `http://${url}`);
  if (target === null) throw new Error(`Cannot ask ${url} for ${what}: it is no URL such as ${DEFAULT_URL}`);
  const { origin } = target;
  const headers: Record<string, string> = {
    ...(token === undefined || token === "" ? {} : { authorization: `Bearer ${token}` }),
    ...(post === undefined ? {} : { "content-type": "application/json" }),
  };
  const sent = post === undefined ? {} : { method: "POST", body: JSON.stringify(post) };
  let text: string;
  let response: Response;
  try {
    response = await fetch(target, { headers, signal: AbortSignal.timeout(WAIT_MS), redirect: "error", ...sent });
    text = await response.text();
  } catch (error) {
    throw new Error(`Cannot reach a region node at ${origin}; is it running? \`freshet start\` starts one`, {
      cause: error,
    });
  }
  if (response.status === 401) throw new Error(`Cannot ask ${origin} for ${what}: it wants a token; set FRESHET_TOKEN`);
  const body = parseJson(text);
  if (response.ok) return { origin, body };
  throw new Error(`Cannot ask ${origin} for ${what}: ${reasonIn(body) ?? `it answered ${response.status}`}`);
}

/** The sentence with which a node refuses. */
function reasonIn(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || !("error" in body)) return undefined;
  const { error } = body;
  if (typeof error !== "object" || error === null || !("message" in error)) return undefined;
  return typeof error.message === "string" ? printable(error.message).slice(0, MESSAGE_CHARS_MAX) : undefined;
}

const MESSAGE_CHARS_MAX = 500;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What came over the network is shown without its control characters: they would move the cursor. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are just what is taken out here
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}
