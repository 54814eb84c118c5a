/*
 * How far the own region's copy of the log must have come to count, in the region's key-value store. It is written before the copy is begun anew, or is
 * filled where it was lost: whoever starts after a kill in between reads a part, and would take up what that says. It stays true, as a log only goes on.
 * That the copy has come as far is written after it: who finds it empty then has lost it, and what was in it may have gone on since.
 */
import { extentOf, type LogExtent, type RegionLogState } from "../protocols/model-state/region-log.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type ActorRef, Refused } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";

/** No shard's lease has this name. */
const RECORD = { bucket: "LEASES", key: "log" } as const;
const ASK_MS = 10_000;
/** What follows the two numbers. */
const WHOLE = " whole";
const WHAT = "how far the region log must have come";

interface Ports {
  readonly deadline: (ms: number) => AbortSignal;
}

export interface LeastLog {
  readonly least: LogExtent;
  /** The copy had come as far. False also where the node was killed before that could be written. */
  readonly wasWhole: boolean;
}

/** How far the own copy must have come; undefined where it was never begun anew. Throws `DecodeError` where somebody else wrote the record. */
export async function readLeast(stream: ActorRef<StreamProtocol>, { deadline }: Ports): Promise<LeastLog | undefined> {
  const { record } = await stream.ask("kv-get", RECORD, { signal: deadline(ASK_MS) });
  // A key that was deleted by hand is there without a value.
  return record === undefined || record.value === "" ? undefined : decodeLeast(record.value);
}

/** From now on the own copy counts only where it has come as far as this log; with `isWhole` it has. */
export async function writeLeast(
  stream: ActorRef<StreamProtocol>,
  { log, isWhole = false, deadline }: Ports & { readonly log: RegionLogState; readonly isWhole?: boolean },
): Promise<void> {
  const { epoch, last } = extentOf(log);
  const value = `${epoch} ${last}${isWhole ? WHOLE : ""}`;
  const { record } = await stream.ask("kv-get", RECORD, { signal: deadline(ASK_MS) });
  if (record?.value === value) return;
  const request = { ...RECORD, value, revision: record?.revision ?? 0 };
  const outcome = await stream.ask("kv-write", request, { signal: deadline(ASK_MS) });
  if (outcome.kind === "conflict") throw new Refused(`somebody else writes ${WHAT}`);
}

function decodeLeast(text: string): LeastLog {
  const wasWhole = text.endsWith(WHOLE);
  const [, epoch, last] = /^(\d{1,15}) (\d{1,15})$/.exec(wasWhole ? text.slice(0, -WHOLE.length) : text) ?? [];
  if (epoch === undefined || last === undefined) throw new DecodeError(WHAT, "it is no two numbers");
  return { least: { epoch: Number(epoch), last: Number(last) }, wasWhole };
}
