/*
 * Taking over training from a region that hands it over. Each step can be done again, and is until all have succeeded:
 *   1. The streams LOG and SAMPLES go on here, under the same numbers. The last sample message says that it does: from then on the old
 *      region makes no sample, whatever its processes know or forget.
 *   2. The old region's shards have learned all up to that message, and have it on disk. Nothing comes after it, so their rows stand still,
 *      also over a restart.
 *   3. Each shard here has pulled until its rows are the same, by their digest, and has the trainers' positions with them on its disk.
 * So every sample took effect once in the old region and none is left there; the joiner here resumes from the last message, as after a
 * crash.
 */
import { decodeSampleColumns } from "../protocols/learning/sample-codec.ts";
import { type ActorRef, type Address } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { copyStream } from "./copy-stream.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { type Standing } from "./state-manager-protocol.ts";

/** A shard of this node, and the trainers that learn into it where it is the primary. */
export interface Holding {
  readonly name: string;
  readonly shard: Address;
  readonly trainers: readonly string[];
}

export interface TakeOver {
  readonly from: string;
  readonly to: string;
  readonly term: number;
  /** The number of the log's entry that decided it. */
  readonly decided: number;
  readonly holdings: readonly Holding[];
}

/** How this node's shards are asked. `deadline` gives a signal that fires after so many milliseconds. */
export interface ShardPorts {
  readonly shard: (address: Address) => ActorRef<ShardProtocol>;
  readonly deadline: (ms: number) => AbortSignal;
}

/** What taking over is done with. */
export interface TakeOverPorts extends ShardPorts {
  readonly stream: ActorRef<StreamProtocol>;
  /** What the old region's state manager says of its shards. */
  readonly standing: (seal: number, signal: AbortSignal) => Promise<Standing>;
}

/** Something must happen elsewhere first. */
export class NotYet extends Error {
  override readonly name = "NotYet";

  constructor(what: string) {
    super(`Cannot take over yet: ${what}`);
  }
}

/** Resolves once this region may train; rejects with `NotYet`, or with what failed, to be tried again. */
export async function takeOver(task: TakeOver, ports: TakeOverPorts): Promise<void> {
  const { from, to, term, decided, holdings } = task;
  const { stream, deadline } = ports;
  await copyStream(stream, { stream: "LOG", from, to, last: decided, deadline });
  const { message } = await stream.ask("last", { region: from, stream: "SAMPLES" }, { signal: deadline(ASK_MS) });
  const moved = message === undefined ? undefined : decodeSampleColumns(message.body).movedTo;
  if (message === undefined || moved?.region !== to || moved.term !== term) {
    throw new NotYet(`${from} has not ended its stream of samples`);
  }
  const seal = message.seq;
  await copyStream(stream, { stream: "SAMPLES", from, to, last: seal, deadline });
  const { shards, handsOver } = await ports.standing(seal, deadline(ASK_MS));
  if (handsOver !== term) throw new NotYet(`${from} does not know that it hands over, or knows better`);
  const theirs = new Map(shards.map((each) => [each.name, each]));
  const left = holdings.map(({ name }) => seal - (theirs.get(name)?.durable ?? 0));
  const most = Math.max(...left);
  if (most > 0) throw new NotYet(`${from} has up to ${most} messages of samples left to learn, or to have on disk`);
  const outcomes = await Promise.all(
    holdings.map(({ name, shard, trainers }) => {
      const content = theirs.get(name)?.content;
      if (content === undefined) throw new NotYet(`${from} does not say what its shard ${name} holds`);
      return ports.shard(shard).ask("succeed", { trainers, seal, content }, { signal: deadline(ASK_MS) });
    }),
  );
  for (const kind of ["differs", "saving"] as const) {
    const waiting = holdings.filter((_, at) => outcomes[at]?.kind === kind).map(({ name }) => name);
    if (waiting.length > 0) {
      throw new NotYet(
        kind === "differs"
          ? `the rows of ${waiting.join(", ")} are not yet those of ${from}; what is lacking is pulled from there`
          : `the rows of ${waiting.join(", ")} are not on this node's disk yet`,
      );
    }
  }
}

/** What this node's shards have learned up to a message, for a region that is to go on in its place. */
export async function standingOf(
  holdings: readonly Holding[],
  { seal, shard, deadline }: ShardPorts & { readonly seal: number },
): Promise<Standing["shards"]> {
  return Promise.all(
    holdings.map(async ({ name, shard: address, trainers }) => {
      const standing = await shard(address).ask("standing", { trainers, seal }, { signal: deadline(ASK_MS) });
      return { name, ...standing };
    }),
  );
}

const ASK_MS = 10_000;
