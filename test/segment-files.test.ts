import { expect, test } from "vitest";
import { CrashDisk } from "../properties/world/crash-disk.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { segmentPath } from "../runtime/image-files.ts";
import { openSegment, readBlocks, SegmentWriter } from "../runtime/segment-files.ts";

const BLOCKS = 24;

test("blocks come back as they were appended, though their memory and the writer's own is used again", async () => {
  const place = { disk: new CrashDisk(), folder: "/images", name: "s-0" };
  const random = createRandom(1);
  const block = new Uint8Array(700_000);
  // Not enough for all of what is read at once.
  const room = new Uint8Array(1_000_000);
  for (let segment = 0; segment < 2; segment += 1) {
    const expected: Uint8Array[] = [];
    await using writer = await SegmentWriter.open(place);
    for (let at = 0; at < BLOCKS; at += 1) {
      // Some are compressed, some are stored with others, one is larger than all room that there is.
      const bytes = block.subarray(0, at === 9 ? block.length : 1 + nextBelow(random, 300_000));
      const most = at % 3 === 0 ? 4 : 256;
      for (let byte = 0; byte < bytes.length; byte += 1) bytes[byte] = nextBelow(random, most);
      expected.push(bytes.slice());
      const taken = writer.append(bytes);
      bytes.fill(1);
      await taken;
    }
    const named = await writer.finish(Uint8Array.of(1));
    writer.keep();
    const { blocks } = await openSegment(place, named);
    await using file = await place.disk.open(segmentPath(place, named.id));
    const read: Uint8Array[] = [];
    for (let from = 0; from < blocks.length; from += 2) {
      const to = Math.min(blocks.length, from + 2);
      read.push(Buffer.concat(await readBlocks(file, { blocks, from, to, room })));
    }
    expect(Buffer.concat(read).equals(Buffer.concat(expected))).toBe(true);
    expect(new Set(blocks.map(({ method }) => method)).size).toBe(2);
  }
});
