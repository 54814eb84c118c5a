import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActorRef } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { type FileStoreConfig, fileStore } from "../runtime/file-store.ts";
import { type FileStoreProtocol, type SaveOutcome, type StoredSegment } from "../runtime/file-store-protocol.ts";
import { type LogLine } from "../runtime/log.ts";

export interface Store extends AsyncDisposable {
  readonly files: ActorRef<FileStoreProtocol>;
  readonly lines: readonly LogLine[];
}

/** The store on this thread; its disposal stops it in order. */
export async function openStore(config: FileStoreConfig): Promise<Store> {
  const lines: LogLine[] = [];
  const host = new ActorHost({
    region: "here",
    thread: "main",
    sink: (line) => lines.push(line),
    onFailure: () => undefined,
  });
  const address = host.declare({ definition: fileStore, id: "a", config });
  await host.start();
  return { files: host.ref<FileStoreProtocol>(address), lines, [Symbol.asyncDispose]: () => host.stop(20_000) };
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** An image that shows whether it is whole, and which one it is: every four bytes are its number, and so is its odd length. */
export function numberedImage(number: number, words: number): Uint8Array {
  return new Uint8Array(new Uint32Array(words + (number % 64)).fill(number).buffer);
}

/** The number of a whole image; undefined for any other bytes. */
export function imageNumber(bytes: Uint8Array, words: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 4) return undefined;
  const number = view.getUint32(0, true);
  return Buffer.compare(bytes, numberedImage(number, words)) === 0 ? number : undefined;
}

/** Bytes of a block of `saveImage`. */
const BLOCK_BYTES = 1024 * 1024;

/** Saves bytes as a segment, whole or `after` another; gives what became of it and its id. */
export async function saveImage(
  files: ActorRef<FileStoreProtocol>,
  image: { readonly name: string; readonly bytes: Uint8Array; readonly head?: Uint8Array; readonly after?: string },
): Promise<SaveOutcome & { readonly segment: string }> {
  const { name, bytes, head = Uint8Array.of(1), after } = image;
  const begun = await files.ask("begin", { name }, { signal: soon() });
  if (begun.kind === "failed") return { ...begun, segment: "" };
  const { segment } = begun;
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const block = bytes.slice(from, from + BLOCK_BYTES);
    const appended = await files.ask("append", { name, segment, block }, { signal: soon() });
    if (appended.kind === "taken") continue;
    files.tell("abandon", { name, segment });
    return { ...appended, segment };
  }
  return { ...(await files.ask("commit", { name, segment, head, after }, { signal: soon() })), segment };
}

/** The images of a name, newest first: the bytes of all blocks of each. */
export async function readImages(files: ActorRef<FileStoreProtocol>, name: string): Promise<Uint8Array[]> {
  const { images } = await files.ask("load", { name }, { signal: soon() });
  return Promise.all(
    images.map(async (image) => {
      if (image.kind === "piece") return image.bytes;
      const parts = await Promise.all(image.segments.map((segment) => readSegment(files, name, segment)));
      return new Uint8Array(Buffer.concat(parts));
    }),
  );
}

async function readSegment(
  files: ActorRef<FileStoreProtocol>,
  name: string,
  segment: StoredSegment,
): Promise<Uint8Array> {
  const to = segment.blocks.length;
  const { blocks, problem } = await files.ask("read", { name, segment, from: 0, to }, { signal: soon() });
  if (problem !== undefined) throw new Error(problem);
  return Buffer.concat(blocks);
}

export function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
