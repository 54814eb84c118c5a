/*
 * A region that may be promoted keeps a copy of the samples, as they come: where the training region is lost, its joiner resumes from the last
 * message of it, and its shards learn what their rows have not learned yet. A message is here before its effect on rows is, mostly, as it is learned from first.
 */
import { decodeSampleColumns } from "../protocols/learning/sample-codec.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type ActorRef, type Logger } from "../runtime/actor.ts";
import { checkSame, CopyFailed, takeOn } from "./copy-stream.ts";
import { type Holding, type ShardPorts } from "./take-over.ts";

const STREAM = "SAMPLES";
const ASK_MS = 10_000;
const READ_MAX = 100;
const READ_WAIT_MS = 1_000;
const PURGE_EVERY = 200;

export interface SampleFollower {
  /** One turn: what there is of another region's samples that this one lacks, or what comes soon. */
  follow(from: string): Promise<void>;
  /**
   * Has the turn that runs end, and tells whether none does: then nothing is written to the own samples any more. An answer that was under way when the other
   * region was cut off may come long after that, and would be written over what this one has made itself meanwhile.
   */
  stop(): boolean;
}

/** What is held is compared with what is there once a region begins to be followed; where it is no beginning of that, it begins anew. */
export function createSampleFollower(
  { region, holdings }: { readonly region: string; readonly holdings: readonly Holding[] },
  ports: ShardPorts & { readonly stream: ActorRef<StreamProtocol>; readonly log: Logger },
): SampleFollower {
  const { stream, shard, deadline, log } = ports;
  let followed = "";
  let held = 0;
  let keepFrom = 0;
  let purgedTo = 0;
  let turn: AbortController | undefined;

  async function begin(from: string, { signal }: AbortController): Promise<void> {
    const copy = { stream: STREAM, from, to: region, last: 0, deadline };
    const { message: own } = await stream.ask("last", { region, stream: STREAM }, { signal: deadline(ASK_MS) });
    if (own !== undefined) {
      const request = { region: from, stream: STREAM, fromSeq: own.seq, max: 1, waitMs: 0 };
      const { messages, lastSeq } = await stream.ask("read", request, {
        signal: AbortSignal.any([signal, deadline(ASK_MS)]),
      });
      signal.throwIfAborted();
      try {
        if (lastSeq < own.seq) throw new CopyFailed(copy, `it ends with message ${lastSeq}`);
        for (const message of messages) if (message.seq === own.seq) checkSame(copy, message, own);
      } catch (error) {
        if (!(error instanceof CopyFailed)) throw error;
        log.warn("The copy of the samples begins anew", { why: error.message });
        await stream.ask("reset", { stream: STREAM }, { signal: deadline(ASK_MS) });
        return;
      }
    }
    held = own?.seq ?? 0;
    followed = from;
  }

  /** Deletes what no trainer here will ever need, and no joiner. */
  async function purge(): Promise<void> {
    const durable = await Promise.all(
      holdings.flatMap(({ shard: address, trainers }) =>
        trainers.map(async (trainer) => {
          const position = await shard(address).ask("position", { trainer }, { signal: deadline(ASK_MS) });
          return position.durable;
        }),
      ),
    );
    const before = Math.min(keepFrom, ...durable.map((position) => position + 1));
    if (before <= purgedTo + PURGE_EVERY) return;
    await stream.ask("purge", { stream: STREAM, beforeSeq: before }, { signal: deadline(ASK_MS) });
    purgedTo = before;
  }

  async function follow(from: string, running: AbortController): Promise<void> {
    const { signal } = running;
    if (followed !== from) {
      followed = "";
      await begin(from, running);
      if (followed === "") return;
    }
    // Whatever fails from here on, what is held is looked at again.
    followed = "";
    const request = { region: from, stream: STREAM, fromSeq: held + 1, max: READ_MAX, waitMs: READ_WAIT_MS };
    const { messages } = await stream.ask("read", request, {
      signal: AbortSignal.any([signal, deadline(READ_WAIT_MS + ASK_MS)]),
    });
    const copy = { stream: STREAM, from, to: region, last: 0, deadline };
    for (const message of messages) {
      signal.throwIfAborted();
      held = await takeOn(stream, { copy, message, held });
    }
    const last = messages.at(-1);
    if (last !== undefined) ({ keepFrom } = decodeSampleColumns(last.body));
    if (keepFrom > purgedTo + PURGE_EVERY) await purge();
    signal.throwIfAborted();
    followed = from;
  }

  return {
    async follow(from) {
      const running = new AbortController();
      turn = running;
      try {
        await follow(from, running);
      } finally {
        turn = undefined;
      }
    },
    stop() {
      turn?.abort();
      // Once this region has samples of its own, what is held is to be looked at anew.
      followed = "";
      return turn === undefined;
    },
  };
}
