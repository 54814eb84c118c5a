/*
 * Situations that random worlds reach too rarely, built by hand over two or three real replicas. Each says which property
 * it looks at and throws when it does not hold.
 */
import { SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { coversVersion } from "../../protocols/sync/shard-version.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import {
  anotherLayout,
  endlessCopy,
  anyBytes,
  fromTheFuture,
  mintedInOurName,
  notFinite,
  oneEncoding,
  withoutState,
} from "./directed-frames.ts";
import {
  earlyRowsAreNotHandedOver,
  answerOverAnEpoch,
  copyBesideTheOldPrimary,
  EPOCHS_LOST,
  expiredBehindTheCut,
  expiryLeavesLaterEpochs,
  reportBringsNoEpoch,
  sameTimeOfTwoEpochs,
  supersededRests,
} from "./directed-epochs.ts";
import { answersAsAScan, cacheBounded, floorInPlace } from "./directed-cache.ts";
import { entriesBounded, floorBelowEarlyRows } from "./directed-full-cache.ts";
import {
  deathBetweenAnswers,
  earlyRowsHoldBack,
  lateRowGivesWay,
  manyLives,
  primaryLostItsDisk,
  reportsWait,
  settledOnDisk,
  rowsGoneMidway,
} from "./directed-horizon.ts";
import { COPIED_POSITIONS } from "./directed-positions.ts";
import { REPORTS } from "./directed-reports.ts";
import { orphanReported, orphanSuperseded, reportsBounded } from "./directed-orphans.ts";
import { dominating, joining, jumps, lastStamps, mergingInAnyOrder, ordering } from "./directed-laws.ts";
import { besideCatchUps, inUse, manyShards, restlessPeer, withinBudget } from "./directed-links.ts";
import { RESUMPTIONS } from "./directed-resume.ts";
import {
  notBytes,
  notHalf,
  roundedOnce,
  scaledOnce,
  smallStepsAddUp,
  smallStepsAddUpInBytes,
} from "./directed-precision.ts";
import {
  pollerStartsAlone,
  polledNoMore,
  shardStartsAlone,
  shardStartsDuringAPull,
  toldOfAnotherPull,
} from "./directed-lives.ts";
import { closedAfterEachPull, slowLink } from "./directed-slow.ts";
import { placeOfAnotherStart } from "./directed-urgent.ts";
import { answerToAnotherLife, cursorOfAnotherLife, failedPull, listedAgain } from "./directed-polls.ts";
import {
  copyOfAClosedAnswer,
  givesWay,
  hurriedGivesWay,
  keepsTheGap,
  lateCopy,
  longAnswer,
  onlyAfterNews,
  onlyWhenLevel,
  oneCrossing,
  reportsAfterStanding,
  silentGiveWay,
  standingBounded,
  standingExpected,
  standingWithinBudget,
  standsAgain,
  standsInSilence,
} from "./directed-standing.ts";

const NOW = 1_760_000_000_000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
];

const SITUATIONS: readonly (readonly [property: string, situation: () => string | undefined])[] = [
  ["V1", joining],
  ["V2", dominating],
  ["V3", ordering],
  ["V8", lastStamps],
  ["V9", earlyRowsHoldBack],
  ["V9", deathBetweenAnswers],
  ["V9", reportsWait],
  ["V9", reportsAfterStanding],
  ["V10", jumps],
  ["V10", fromTheFuture],
  ["P1", supersededRests],
  ["P2", expiredBehindTheCut],
  ...EPOCHS_LOST,
  ["P2", sameTimeOfTwoEpochs],
  ["P3", reportBringsNoEpoch],
  ["P4", earlyRowsAreNotHandedOver],
  ...REPORTS,
  ...RESUMPTIONS,
  ["S1", rowsGoneMidway],
  ["S1", expiryLeavesLaterEpochs],
  ["S1", answerOverAnEpoch],
  ["S4", framesOfTwoAnswers],
  ["S10", mergingInAnyOrder],
  ["S11", foreignAnswer],
  ["S20", reportsBounded],
  ["S20", closedAfterEachPull],
  ["X4", placeOfAnotherStart],
  ["X5", orphanSuperseded],
  ["X6", crossingAdoption],
  ["X8", roundedOnce],
  ["X8", scaledOnce],
  ["X9", withoutState],
  ["X9", smallStepsAddUp],
  ["X9", smallStepsAddUpInBytes],
  ["X10", lateRowGivesWay],
  ["X10", settledOnDisk],
  ["X11", listedAgain],
  ["X11", failedPull],
  ["X11", standingExpected],
  ["X11", cursorOfAnotherLife],
  ["X11", answerToAnotherLife],
  ["X11", shardStartsAlone],
  ["X11", shardStartsDuringAPull],
  ["X11", pollerStartsAlone],
  ["X11", toldOfAnotherPull],
  ["P3", polledNoMore],
  ...COPIED_POSITIONS,
  ["X12", orphanReported],
  ["L1", rowsOfAFailedPull],
  ["L1", primaryLostItsDisk],
  ["L1", copyBesideTheOldPrimary],
  ["L4", onlyAfterNews],
  ["L4", onlyWhenLevel],
  ["L5", lateCopy],
  ["L5", copyOfAClosedAnswer],
  ["L5", hurriedGivesWay],
  ["L2", slowLink],
  ["I1", anyBytes],
  ["I2", oneEncoding],
  ["I3", notFinite],
  ["I3", notHalf],
  ["I3", notBytes],
  ["I4", mintedInOurName],
  ["I7", anotherLayout],
  ["I8", endlessCopy],
  ["W1", manyShards],
  ["W1", standingBounded],
  ["W2", inUse],
  ["W3", besideCatchUps],
  ["W4", withinBudget],
  ["W4", standingWithinBudget],
  ["W5", restlessPeer],
  ["W6", oneCrossing],
  ["W6", longAnswer],
  ["W6", standsAgain],
  ["W6", silentGiveWay],
  ["W7", standsInSilence],
  ["W7", givesWay],
  ["W8", keepsTheGap],
  // These take as long as all before them.
  ["V9", manyLives],
  ["S20", cacheBounded],
  ["S20", entriesBounded],
  ["X1", floorInPlace],
  ["X1", floorBelowEarlyRows],
  ["X2", answersAsAScan],
];

/** The properties that they look at. */
export const DIRECTED: readonly string[] = [...new Set(SITUATIONS.map(([property]) => property))];

/** Runs them all, or those of some properties, one after the other; gives what did not hold. */
export function* runDirected(
  only?: readonly string[],
): Generator<{ readonly property: string; readonly message: string }, void, undefined> {
  for (const [property, run] of SITUATIONS) {
    if (only?.includes(property) === false) continue;
    const problem = attempt(run);
    if (problem !== undefined) yield { property, message: `${property}: ${problem}` };
  }
}

/** What throws does not hold either. */
function attempt(run: () => string | undefined): string | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message;
  }
}

/** A repeated pull is answered anew by a peer that was restarted meanwhile; frames of both answers arrive, each index once. */
function framesOfTwoAnswers(): string | undefined {
  const limits = { ...SYNC_LIMITS, frameBytes: 30 };
  const peer = start("0.sim.b.l1", { limits });
  write(peer, 1n);
  write(peer, 2n);
  const puller = start("0.sim.a.l1");
  const asked = stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(1) }, NOW);
  const [first] = framesOf(peer, asked);
  const restarted = start("0.sim.b.l2", { limits, image: encodeImage(peer) });
  write(restarted, 1n);
  const [, last] = framesOf(restarted, asked);
  if (first === undefined || last === undefined) return "both answers were to have two frames";
  for (const body of [first, last]) stepReplica(puller, { kind: "message", from: "b", message: "frame", body }, NOW);
  const held = puller.store.versionOf(0, 1n);
  const known = puller.knowledge.get(restarted.writer) ?? 0;
  return known > (held?.t ?? 0) ? "frames of two answers together moved knowledge over a hole" : undefined;
}

/** A puller restarts from an older image; the answer to its last life's pull arrives during its new life's pull of the same peer. */
function foreignAnswer(): string | undefined {
  const peer = start("0.sim.b.l1");
  const puller = start("0.sim.a.l1");
  write(peer, 1n);
  const image = encodeImage(puller);
  pullWhole(puller, peer, 1);
  write(peer, 2n);
  const late = framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(2) }, NOW));

  const restarted = start("0.sim.a.l2", { image });
  stepReplica(restarted, { kind: "pull", peer: "b", pullId: pullId(3) }, NOW);
  for (const body of late) stepReplica(restarted, { kind: "message", from: "b", message: "frame", body }, NOW);
  if (restarted.knowledge.size > 0) return "an answer to a pull of an earlier life moved knowledge over a hole";
  return restarted.store.rows(0) > 0 ? "an answer to a pull of an earlier life changed rows" : undefined;
}

/** Two replicas of equal content and different shard versions pull each other at the same time. */
function crossingAdoption(): string | undefined {
  const b = start("0.sim.b.l1");
  write(b, 1n);
  const a = start("0.sim.a.l1", { image: encodeImage(b) });
  for (let round = 1; round <= 2; round += 1) {
    const toA = framesOf(b, stepReplica(a, { kind: "pull", peer: "b", pullId: pullId(round) }, NOW));
    const toB = framesOf(a, stepReplica(b, { kind: "pull", peer: "a", pullId: pullId(round + 8) }, NOW));
    for (const body of toA) stepReplica(a, { kind: "message", from: "b", message: "frame", body }, NOW);
    for (const body of toB) stepReplica(b, { kind: "message", from: "a", message: "frame", body }, NOW);
  }
  const [ours, theirs] = [a.version, b.version].map(({ counter, generator }) => `${counter} of ${generator}`);
  return ours === theirs ? undefined : `equal contents kept the shard versions ${ours} and ${theirs}`;
}

/** Some frames of an answer came, then its sender was gone for ever: the rows that came must be found by others. */
function rowsOfAFailedPull(): string | undefined {
  const limits = { ...SYNC_LIMITS, frameBytes: 30 };
  const peer = start("0.sim.b.l1", { limits });
  write(peer, 1n);
  write(peer, 2n);
  const puller = start("0.sim.a.l1");
  const { version } = puller;
  const [first, second] = framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(1) }, NOW));
  if (first === undefined || second === undefined) return "the answer was to have two frames";
  stepReplica(puller, { kind: "message", from: "b", message: "frame", body: first }, NOW);
  for (let tick = 0; tick < SYNC_LIMITS.retriesMax + 2; tick += 1) {
    stepReplica(puller, { kind: "timer", name: `pull ${pullId(1)}` }, NOW);
  }
  if (puller.pull !== undefined) return "a pull did not fail although nothing came any more";
  return coversVersion(version, puller.version)
    ? "rows of a failed pull are behind the same shard version as before"
    : undefined;
}

function start(
  writer: string,
  { image, limits = SYNC_LIMITS }: { readonly image?: Uint8Array; readonly limits?: SyncLimits } = {},
): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  return createReplica({
    writer: parseWriterId(writer),
    limits,
    ...(image === undefined ? { store } : loadImage(image, store)),
  });
}

function write(replica: Replica, key: bigint): void {
  stepReplica(
    replica,
    {
      kind: "write",
      writes: [{ table: 0, keys: BigUint64Array.of(key), mutate: ({ floats }) => void floats.fill(1) }],
    },
    NOW,
  );
}

function pullWhole(puller: Replica, peer: Replica, id: number): void {
  for (const body of framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(id) }, NOW))) {
    stepReplica(puller, { kind: "message", from: "b", message: "frame", body }, NOW);
  }
}

/** The frames with which a replica answers the pull among these effects. */
function framesOf(replica: Replica, effects: readonly ReplicaEffect[]): Uint8Array[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== "send" || effect.message !== "pull") return [];
    const asker = effect.to === "b" ? "a" : "b";
    return stepReplica(replica, { kind: "message", from: asker, message: "pull", body: effect.body }, NOW).flatMap(
      (answer) => (answer.kind === "send" && answer.message === "frame" ? [answer.body] : []),
    );
  });
}

function pullId(id: number): string {
  return id.toString(16).padStart(32, "0");
}
