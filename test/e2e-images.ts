import { modelLayout } from "../protocols/model-layout.ts";
import { createImageLoader } from "../protocols/sync/load-image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { modelSchema } from "../regions/config-model.ts";
import { nodeDisk } from "../runtime/disk.ts";
import { segmentPath } from "../runtime/image-files.ts";
import { loadImages } from "../runtime/image-loading.ts";
import { readBlocks } from "../runtime/segment-files.ts";
import { eventually, SMALL_MODEL } from "./e2e-support.ts";
import { type TestNode } from "./test-node.ts";

/** Waits until the images on a serving node's disk are of what it holds now: a kill then loses nothing of it. */
export async function imagesWritten(node: TestNode): Promise<void> {
  await eventually(`the images of ${node.region} are written`, async () => {
    const [held, kept] = await Promise.all([node.status(), imageDigest(node)]);
    return held?.models[0]?.digest === kept ? true : undefined;
  });
}

/** The digest that its status has for the same rows. */
async function imageDigest({ state }: TestNode): Promise<string> {
  const { tables } = modelLayout(modelSchema.parse(SMALL_MODEL));
  const digests: string[] = [];
  for (let shard = 0; shard < SMALL_MODEL.shards; shard++) {
    const place = { disk: nodeDisk, folder: `${state}/shards`, name: `${SMALL_MODEL.name}-${shard}` };
    const store = createMapRowStore(tables, { state: false });
    const {
      images: [image],
    } = await loadImages(place);
    if (image?.kind === "segments") {
      const loader = createImageLoader(store);
      for (const segment of image.segments) {
        loader.begin(segment.head);
        await using file = await place.disk.open(segmentPath(place, segment.id));
        const range = { blocks: segment.blocks, from: 0, to: segment.blocks.length };
        for (const block of await readBlocks(file, range)) loader.add(block);
      }
    }
    digests.push(store.digest());
  }
  return digests.join("-");
}
