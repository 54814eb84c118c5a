/*
 * Directed situations of links: the scheduler of pulls on a model of one link, and whom a poller asks.
 */
import { LINK_LIMITS, POLL_LIMITS } from "../../protocols/limits.ts";
import { createLink, framesInFlight, notePullFrame, openPull, turnLink } from "../../protocols/sync/links.ts";
import { framesAllowed } from "../../protocols/sync/link-window.ts";
import { createPoller, type PollEffect, stepPoller } from "../../protocols/sync/poll.ts";
import { pullIds } from "./names.ts";
import { OURS, THEIRS } from "./situation.ts";
import { runLink } from "../link-model.ts";

const { frameBytes } = LINK_LIMITS;
/** 256 Mbps over 100 ms. */
const LINK = { bytesPerSecond: 32e6, roundTripMs: 100, forMs: 30_000, liveEveryMs: 50, liveBytes: 2_000 };
const FRAME_MS = (frameBytes / LINK.bytesPerSecond) * 1000;

/** A hundred shards want many frames each of one link. */
export function manyShards(): string | undefined {
  const link = createLink("x", { limits: LINK_LIMITS, nowMs: 1 });
  for (let shard = 0; shard < 100; shard += 1) {
    openPull(link, { shard: `s/${shard}`, isLong: false, nowMs: 1 });
    notePullFrame(link, { shard: `s/${shard}`, bytes: 1_000, frames: 8, nowMs: 2 });
    turnLink(link, 2);
  }
  return framesInFlight(link) > framesAllowed(link.window)
    ? `${framesInFlight(link)} frames are in flight in a window of ${framesAllowed(link.window)}`
    : undefined;
}

/** Catch-ups fill a link for a while. */
export function inUse(): string | undefined {
  const { use, queueMsMost } = runLink({ ...LINK, catchUps: 4, catchUpFrames: 1e6 });
  if (use < 0.85) return `a link with catch-ups is used at ${use}`;
  return queueMsMost > 100 + 4 * FRAME_MS ? `bytes wait up to ${queueMsMost} ms` : undefined;
}

/** What is small comes while ten catch-ups run, and these end. */
export function besideCatchUps(): string | undefined {
  const forMs = 40 * 10 * FRAME_MS * 2;
  const { caughtUpMs, liveMs } = runLink({ ...LINK, forMs, catchUps: 10, catchUpFrames: 40 });
  if (caughtUpMs === undefined) return "a catch-up does not end";
  const latest = liveMs.reduce((most, ms) => Math.max(most, ms), 0);
  return latest > LINK.roundTripMs + 100 + 6 * FRAME_MS ? `what is small came after ${latest} ms` : undefined;
}

/** A link with a budget of a fourth of its rate. */
export function withinBudget(): string | undefined {
  const budget = LINK.bytesPerSecond / 4;
  const { bytesMostASecond } = runLink({ ...LINK, catchUps: 4, catchUpFrames: 1e6, budget });
  return bytesMostASecond > 1.25 * budget + 2 * frameBytes
    ? `${bytesMostASecond} bytes came in a second, and ${budget} may`
    : undefined;
}

/** One peer has news of a shard again and again, and its link is the best; another has some too. */
export function restlessPeer(): string | undefined {
  const poller = createPoller(OURS, pullIds());
  stepPoller(poller, { kind: "changed", shard: "s/0", version: { counter: 1, generator: OURS } });
  for (const peer of ["restless", "quiet"]) stepPoller(poller, { kind: "neighbour", peer });
  let counter = 1;
  function list(peer: string): PollEffect[] {
    counter += 1;
    const body = {
      pollId: poller.neighbours.get(peer)?.pollId,
      cursor: { writer: THEIRS, change: counter },
      more: false,
      // The newer of one generator: fresher for sure.
      shards: [{ shard: "s/0", counter: peer === "quiet" ? 1 : counter, generator: THEIRS }],
    };
    return stepPoller(poller, { kind: "message", from: peer, message: "changes", body });
  }
  list("restless");
  list("quiet");
  for (let pulls = 0; pulls < 4 * POLL_LIMITS.passesMax; pulls += 1) {
    list("restless");
    const { pullId = "" } = poller.pulling.get("s/0") ?? {};
    const effects = stepPoller(poller, { kind: "pulled", shard: "s/0", pullId, outcome: "complete" });
    if (effects.some((effect) => effect.kind === "pull" && effect.peer === "quiet")) return undefined;
  }
  return "a peer with ever more news keeps another from being asked";
}
