/*
 * Situations that random worlds reach too rarely, built by hand over two or three real replicas. Each says which property
 * it looks at and throws when it does not hold.
 */
import { crossingAdoption, foreignAnswer, framesOfTwoAnswers, rowsOfAFailedPull } from "./directed-answers.ts";
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
  lateCopy,
  onlyAfterNews,
  onlyWhenLevel,
  oneCrossing,
  reportsAfterStanding,
  standsAgain,
  standsInSilence,
} from "./directed-standing.ts";
import {
  keepsTheGap,
  longAnswer,
  silentGiveWay,
  standingBounded,
  standingExpected,
  standingWithinBudget,
} from "./directed-standing-polls.ts";

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
