import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActorRef } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { type FileStoreConfig, fileStore, type ImageStoreProtocol } from "../runtime/file-store.ts";
import { type LogLine } from "../runtime/log.ts";

export interface Store extends AsyncDisposable {
  readonly files: ActorRef<ImageStoreProtocol>;
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
  return { files: host.ref<ImageStoreProtocol>(address), lines, [Symbol.asyncDispose]: () => host.stop(20_000) };
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

export function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
