import { sameBytes } from "../protocols/wire/bytes.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";

export interface StreamCopy {
  readonly stream: string;
  /** The region whose stream is copied, and the own one, which has a stream of that name too. */
  readonly from: string;
  readonly to: string;
  /** The message to end with. */
  readonly last: number;
  /** A signal that fires after so many milliseconds. */
  readonly deadline: (ms: number) => AbortSignal;
}

/** A stream cannot be copied as it is now. */
export class CopyFailed extends Error {
  override readonly name = "CopyFailed";

  constructor({ from, to, stream }: StreamCopy, why: string) {
    super(`Cannot copy the stream ${stream} of ${from} to ${to}: ${why}`);
  }
}

/**
 * Makes the own region's stream go on as another region's does, under the same numbers, so that whoever counted there counts on here. Goes
 * on where it stopped before. The own one must hold the beginning of the other, or nothing; nobody else may append to it meanwhile.
 */
export async function copyStream(stream: ActorRef<StreamProtocol>, copy: StreamCopy): Promise<void> {
  const { from, to, stream: name, last, deadline } = copy;
  const own = await stream.ask("last", { region: to, stream: name }, { signal: deadline(ASK_MS) });
  let held = own.message?.seq ?? 0;
  // Read once more, to see that it is the same there.
  let next = Math.max(1, held);
  while (held < last) {
    const request = { region: from, stream: name, fromSeq: next, max: READ_MAX, waitMs: READ_WAIT_MS };
    const { messages } = await stream.ask("read", request, { signal: deadline(READ_WAIT_MS + ASK_MS) });
    if (messages.length === 0) throw new CopyFailed(copy, `its messages ${next} to ${last} do not come`);
    for (const message of messages) {
      if (message.seq > last) break;
      if (message.seq === held) checkSame(copy, message, own.message);
      else held = await takeOn(stream, { copy, message, held });
      next = held + 1;
    }
  }
  if (held > last) throw new CopyFailed(copy, `it ends with message ${last}, and the own one with ${held}`);
}

/** Throws `CopyFailed` where two messages of one number differ. */
export function checkSame(copy: StreamCopy, theirs: StreamMessage, ours: StreamMessage | undefined): void {
  if (ours !== undefined && sameBytes(ours.body, theirs.body)) return;
  throw new CopyFailed(copy, `message ${theirs.seq} is another in the own one, which was never a copy of it`);
}

/** Appends one message under its own number. What is missing between is gone for good, and what was held before it of no use. */
export async function takeOn(
  stream: ActorRef<StreamProtocol>,
  { copy, message, held }: { readonly copy: StreamCopy; readonly message: StreamMessage; readonly held: number },
): Promise<number> {
  const { stream: name, deadline } = copy;
  const { seq, body } = message;
  const follows = seq === held + 1 && held > 0;
  if (!follows) await stream.ask("purge", { stream: name, beforeSeq: seq }, { signal: deadline(ASK_MS) });
  const request = { stream: name, body, expectedLastSequence: follows ? held : 0 };
  const outcome = await stream.ask("append", request, { signal: deadline(ASK_MS) });
  if (outcome.kind === "conflict") throw new CopyFailed(copy, "somebody else appends to the own one");
  if (outcome.seq !== seq) throw new CopyFailed(copy, `message ${seq} became ${outcome.seq} in the own one`);
  return seq;
}

const READ_MAX = 100;
const READ_WAIT_MS = 1_000;
const ASK_MS = 10_000;
