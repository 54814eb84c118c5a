import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { type Replica } from "../protocols/sync/replica.ts";
import { takeImage } from "../protocols/sync/take-image.ts";
import { commitSegment } from "../runtime/commit-image.ts";
import { type ImagePlace } from "../runtime/image-files.ts";
import { SegmentWriter } from "../runtime/segment-files.ts";

/** Writes what a replica holds as an image, or what changed since the last one behind the segments `before`; gives the segments of the image. */
export async function writeImage(
  place: ImagePlace,
  replica: Replica,
  before: readonly NamedSegment[] = [],
): Promise<readonly NamedSegment[]> {
  const image = takeImage(replica, { what: before.length === 0 ? "all" : "changed" });
  const writer = await SegmentWriter.open(place);
  for (let block = image.next(); block !== undefined; block = image.next()) await writer.append(block);
  const segments = await commitSegment(place, { writer, head: image.head, before });
  image.close("kept");
  return segments;
}
