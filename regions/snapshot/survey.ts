import { decodeHead } from "../../protocols/sync/image-head.ts";
import { type ImagePlace, imagePath } from "../../runtime/image-files.ts";
import { imagePlaces, writtenAtMs } from "./image-names.ts";
import { newestSegments, readImages } from "./read-image.ts";

/** What a state folder holds of one shard. */
export interface ImageSummary {
  readonly shard: string;
  /** Old versions wrote images in one piece. */
  readonly kind: "segments" | "piece" | "unreadable";
  readonly bytes: number;
  /** The whole one and its increments; 0 for an image in one piece. */
  readonly segments: number;
  readonly writtenAtMs: number | undefined;
  readonly optimizerState: boolean | undefined;
  readonly tables: readonly string[];
  /** Trainer -> position of the last sample that took effect. */
  readonly positions: Readonly<Record<string, number>>;
  /** Whether there is an older one, should this be damaged. */
  readonly hasPrevious: boolean;
  readonly problems: readonly string[];
}

/** The newest image of each shard, by what it says of itself: no block is read. */
export async function surveyImages(state: string): Promise<ImageSummary[]> {
  const summaries: ImageSummary[] = [];
  for (const place of await imagePlaces(state)) summaries.push(await summaryOf(place));
  return summaries;
}

async function summaryOf(place: ImagePlace): Promise<ImageSummary> {
  const { images, problems } = await readImages(place);
  const segments = newestSegments(images);
  const [image] = images;
  const said = problems.map(({ age, error }) => `${age}: ${error.message}`);
  const common = {
    shard: place.name,
    kind: image?.kind ?? ("unreadable" as const),
    segments: segments.length,
    writtenAtMs: await writtenAtMs(imagePath(place, "current")).catch(() => undefined),
    hasPrevious: images.length > 1,
  };
  const last = segments.at(-1);
  if (last === undefined) {
    const bytes = image?.kind === "piece" ? image.bytes.length : 0;
    return { ...common, bytes, optimizerState: undefined, tables: [], positions: {}, problems: said };
  }
  const { hasState, declared, applied } = decodeHead(last.head);
  return {
    ...common,
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    optimizerState: hasState,
    tables: declared.map(({ name }) => name),
    positions: Object.fromEntries(applied),
    problems: said,
  };
}
