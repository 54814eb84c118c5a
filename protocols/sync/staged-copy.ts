/*
 * A full copy takes the place of what is held in one step, so its frames wait in memory until all of them are there. A peer may claim any number of
 * frames, and send any rows in them. So of copies one is held at a time, and of one no more than the tables that it is for could hold: by a copy nobody takes
 * more memory than by rows that are applied as they come.
 */
import { type Frame } from "../wire/frame.ts";
import { dropUnfinished } from "./kept-answers.ts";
import { type OwnPull, type Refusal, type Replica, type ReplicaEffect } from "./replica-state.ts";

/** Why a frame of a copy cannot wait with those that came; undefined where it can. */
export function noRoom(
  { limits }: Replica,
  { stagedBytes }: OwnPull,
  body: Uint8Array,
): { readonly reason: Refusal; readonly detail: string } | undefined {
  if (stagedBytes + body.length <= limits.copyBytesMax) return undefined;
  return {
    reason: "full",
    detail: `a full copy of more than ${limits.copyBytesMax} bytes, more than this shard's tables may hold. If the peer is honest its tables have larger budgets`,
  };
}

/** Keeps a frame. What was kept of another peer's copy, to go on with, gives way. */
export function stage(
  replica: Replica,
  pull: OwnPull,
  { frame, body }: { readonly frame: Frame; readonly body: Uint8Array },
): ReplicaEffect[] {
  const dropped = pull.staged.length > 0 ? [] : dropUnfinished(replica, ({ staged }) => staged.length > 0);
  pull.staged.push(frame);
  pull.stagedBytes += body.length;
  return dropped;
}
