import { modelLayout } from "../protocols/model-layout.ts";
import { loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { modelSchema } from "../regions/config-model.ts";
import { imagePath, readImage } from "../runtime/image-files.ts";
import { eventually, SMALL_MODEL, type TestNode } from "./e2e-support.ts";

const IMAGE_BYTES_MAX = 10_000_000;

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
    const path = imagePath(`${state}/shards`, `${SMALL_MODEL.name}-${shard}`, "current");
    const image = await readImage(path, IMAGE_BYTES_MAX);
    const store = createMapRowStore(tables, { state: false });
    if (image !== undefined) loadImage(image, store);
    digests.push(store.digest());
  }
  return digests.join("-");
}
