import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { type ImagePlace, readImageFile, sweepSegments, writeManifest } from "./image-files.ts";
import { type SegmentWriter } from "./segment-files.ts";

/**
 * Makes a segment part of the image: alone, or behind those `before`. Rejects where it is not on the disk for certain; then the image is the
 * one from before, or already this one. Rejects with `ImageGone` where the image does not begin with `before`. Gives all segments of the image now.
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
  if (before.length > 0 && !(await isThere(place, before))) throw new ImageGone();
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

/** Whether the image begins with these: another disk may be in this one's place by now. A try of which it was not certain whether it came to the disk may follow. */
async function isThere(place: ImagePlace, segments: readonly NamedSegment[]): Promise<boolean> {
  const image = await readImageFile(place, "current");
  return image?.kind === "manifest" && segments.every(({ id }, at) => id === image.segments[at]?.id);
}

/** An increment would follow what is not there, and nobody could load it. */
class ImageGone extends Error {
  override readonly name = "ImageGone";

  constructor() {
    super("what is there of it is not what was written last");
  }
}

/** What is left lying costs room and nothing else, and the next start tries again. */
async function sweep(place: ImagePlace): Promise<void> {
  try {
    await sweepSegments(place);
  } catch {
    // Whatever is wrong with the disk is said when the next segment is written.
  }
}
