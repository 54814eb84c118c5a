import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { type ImagePlace, sweepSegments, writeManifest } from "./image-files.ts";
import { type SegmentWriter } from "./segment-files.ts";

/**
 * Makes a segment part of the image: alone, or behind those `before`. Rejects where it is not on the disk for certain; then the image is the
 * one from before, or already this one. Gives all segments of the image now.
 */
export async function commitSegment(
  place: ImagePlace,
  options: {
    readonly writer: SegmentWriter;
    readonly head: Uint8Array;
    readonly before: readonly NamedSegment[];
  },
): Promise<readonly NamedSegment[]> {
  const { writer, head, before } = options;
  const segments = [...before, await writer.finish(head)];
  // From here on it may be named already when something fails; then it must not go.
  writer.keep();
  try {
    await writeManifest(place, segments);
  } catch (error) {
    await sweep(place);
    throw error;
  }
  if (before.length === 0) await sweep(place);
  return segments;
}

/** What is left lying costs room and nothing else, and the next start tries again. */
async function sweep(place: ImagePlace): Promise<void> {
  try {
    await sweepSegments(place);
  } catch {
    // Whatever is wrong with the disk is said when the next segment is written.
  }
}
