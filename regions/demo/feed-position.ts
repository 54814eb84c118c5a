import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";

/** How far a feed got, kept beside the regions' state, so that a second run goes on as if there had been no pause. */
export interface FeedPosition {
  /** The data folder, or nothing for the market. */
  readonly data: string;
  readonly seed: number;
  readonly requests: number;
  /** When the first run began; a market's age counts from there. */
  readonly startedMs: number;
}

/** Where to go on: at the beginning without a file, and when that is of other data or another seed. */
export async function readFeedPosition(folder: string, beginning: FeedPosition): Promise<FeedPosition> {
  let text: string;
  try {
    text = await readFile(join(folder, FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return beginning;
    throw error;
  }
  const parsed = schema.safeParse(parseOrNothing(text));
  return parsed.success && parsed.data.data === beginning.data && parsed.data.seed === beginning.seed
    ? parsed.data
    : beginning;
}

/** Writes it whole or not at all. */
export async function writeFeedPosition(folder: string, position: FeedPosition): Promise<void> {
  const path = join(folder, FILE);
  await writeFile(`${path}.new`, `${JSON.stringify(position)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

const FILE = "feed.json";
const schema = z.object({
  data: z.string(),
  seed: z.number(),
  requests: z.number().int().min(0),
  startedMs: z.number(),
});

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // damaged: the feed begins again, which does no harm
    throw error;
  }
}
