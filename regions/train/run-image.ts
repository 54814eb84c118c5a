/*
 * Where a training run stands, on disk: one image, written whole or not at all (runtime/image-files.ts). Layout:
 *   4   length of the header in bytes, little-endian
 *       the header, JSON: what the run is, and its results
 *       the parts: what the model holds
 *   4   CRC-32C of all bytes before
 */
import { join } from "node:path";
import * as z from "zod";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { nodeDisk } from "../../runtime/disk.ts";
import { imagePath, prepareImageFolder, readPiece, writePiece } from "../../runtime/image-files.ts";

/** What is kept is of another run, or broken. */
export class UnusableCheckpoint extends Error {
  override readonly name = "UnusableCheckpoint";

  constructor(folder: string, why: string) {
    super(
      `Cannot go on from ${JSON.stringify(folder)}: ${why}. Choose another folder with --out, or start anew with --restart`,
    );
  }
}

const NAME = "training";
const BYTES_MAX = 4 * 2 ** 30;

/** What a run holds is more than a checkpoint may have, so it could not be resumed. */
class ModelTooLarge extends Error {
  override readonly name = "ModelTooLarge";
}

/** `run` says what the run is: model, data and settings, so that no other is taken for it. */
export interface RunHeader {
  readonly run: string;
}

/** Keeps a run in a folder, in place of what was kept there. Throws `ModelTooLarge` rather than keep what `loadImage` would refuse. */
export async function saveImage(
  folder: string,
  { header, parts }: { readonly header: RunHeader; readonly parts: readonly Uint8Array[] },
): Promise<void> {
  await prepareImageFolder(nodeDisk, folder);
  const head = new TextEncoder().encode(JSON.stringify(header));
  const size = 8 + head.length + parts.reduce((sum, { length }) => sum + length, 0);
  if (size > BYTES_MAX) {
    throw new ModelTooLarge(
      `Cannot keep a checkpoint of this run: it takes ${size} bytes, allowed: ${BYTES_MAX}. Give its tables fewer keys (admit) or fewer numbers a row`,
    );
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, head.length, true);
  bytes.set(head, 4);
  let at = 4 + head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32c(bytes, 0, at), true);
  await writePiece({ disk: nodeDisk, folder, name: NAME }, bytes);
}

/** What was kept: its header, and how to put its parts back. Undefined where nothing was; throws where it is another run's. */
export async function loadImage<H extends RunHeader>(
  folder: string,
  { run, header }: { readonly run: string; readonly header: z.ZodType<H> },
): Promise<{ readonly kept: H; restore(parts: readonly Uint8Array[]): void } | undefined> {
  const bytes = await readPiece({ disk: nodeDisk, folder, name: NAME }, BYTES_MAX);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - 4;
  if (end < 4 || view.getUint32(end, true) !== crc32c(bytes, 0, end)) {
    throw new UnusableCheckpoint(folder, "what is kept there is damaged");
  }
  const headEnd = 4 + view.getUint32(0, true);
  const found: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(4, headEnd)));
  const whose = z.object({ run: z.string() }).safeParse(found);
  if (whose.success && whose.data.run !== run) {
    throw new UnusableCheckpoint(folder, "it is of another model, data or settings");
  }
  const parsed = header.safeParse(found);
  if (!parsed.success) throw new UnusableCheckpoint(folder, "it is of another version of freshet");
  return {
    kept: parsed.data,
    restore(parts) {
      let at = headEnd;
      for (const part of parts) {
        part.set(bytes.subarray(at, at + part.length));
        at += part.length;
      }
    },
  };
}

/** Where the image of a folder lies, for those who are told about it. */
export function checkpointPath(folder: string): string {
  return imagePath({ folder: join(folder), name: NAME }, "current");
}
