import { type Context } from "../runtime/actor.ts";
import { type NotWritten } from "../runtime/file-store-protocol.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

const REMEDIES: Readonly<Record<NotWritten["code"], string>> = {
  full: "make room on that disk, or raise its quota",
  denied: "let the node's user write to that folder",
  io: "see that the folder is there, and that its disk is well",
};

/** What is wrong with a disk that takes no images, and what an operator can do about it. */
export function adviceOn({ code, message }: NotWritten): string {
  return `${message}; ${REMEDIES[code]}`;
}

const TRY_AGAIN_MS_MIN = 250;
const TRY_AGAIN_MS_MAX = 30_000;

/** A disk that takes no images of a shard: says so, and has it tried again, at distances that double from a quarter of a second to 30 s, for as long as it takes. */
export interface ImageTrouble {
  /** Why the last image could not be written; undefined once one was. */
  now(): NotWritten | undefined;
  failed(outcome: NotWritten): void;
  saved(): void;
}

export function createImageTrouble(shard: string, context: Context<ShardProtocol>): ImageTrouble {
  let trouble: NotWritten | undefined;
  let tries = 0;
  let sinceMs = 0;

  function show(): void {
    context.metrics.gauge("freshet_images_failing", trouble === undefined ? 0 : 1, { shard });
  }

  function lastedSeconds(): number {
    return Math.round((context.upMs() - sinceMs) / 1000);
  }

  show();
  return {
    now: () => trouble,
    failed(outcome) {
      if (trouble === undefined) sinceMs = context.upMs();
      trouble = outcome;
      const againMs = Math.min(TRY_AGAIN_MS_MAX, TRY_AGAIN_MS_MIN * 2 ** tries);
      tries += 1;
      show();
      context.metrics.count("freshet_image_failures_total", 1, { shard });
      context.log.error("An image could not be written: the last one stays, and what came since is in memory only", {
        shard,
        why: adviceOn(outcome),
        failingForSeconds: lastedSeconds(),
        triedAgainInSeconds: againMs / 1000,
      });
      context.after(againMs, "try-again", {});
    },
    saved() {
      if (trouble === undefined) return;
      trouble = undefined;
      context.log.info("Images can be written again, and all is on disk", {
        shard,
        failedForSeconds: lastedSeconds(),
        tries,
      });
      tries = 0;
      show();
    },
  };
}
