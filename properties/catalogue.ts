/*
 * What is verified: each property, where it is looked at, and a planted bug that this one checker finds with all others off.
 * A test plants each of them and looks at nothing but its property.
 */
export interface CatalogueRow {
  readonly property: string;
  readonly statement: string;
  /** The file that looks. */
  readonly file: string;
  /** The name of a planted bug. */
  readonly bug: string;
}

const ROWS = "properties/world/checkers.ts";
const BOOK = "properties/world/horizon-book.ts";
const PROMOTIONS = "properties/world/promotions.ts";
const SAMPLES = "properties/world/samples.ts";
const STEPS = "properties/world/step-checks.ts";
const ENDING = "properties/world/ending.ts";
const LEASES = "properties/world/leases.ts";
const EVICTIONS = "properties/world/evictions.ts";
const URGENT = "properties/world/urgent-checks.ts";
const NODE = "properties/world/simulated-node.ts";
const LAWS = "properties/world/directed-laws.ts";
const FRAMES = "properties/world/directed-frames.ts";
const DIRECTED = "properties/world/directed.ts";
const CACHE = "properties/world/directed-cache.ts";
const POLLS = "properties/world/directed-polls.ts";
const LINKS = "properties/world/directed-links.ts";
const STANDING = "properties/world/directed-standing.ts";

export const CATALOGUE: readonly CatalogueRow[] = [
  row("V1", "a join is the least upper bound of both", LAWS, "knowledge-overwritten"),
  row("V2", "knowledge is ordered by what it covers", LAWS, "absent-writer-is-known"),
  row("V3", "versions have one strict order", LAWS, "epochs-as-text"),
  row("V4", "a version is stamped once", ROWS, "reuse-writer-id"),
  row("V5", "each start has a writer id never used before", STEPS, "reuse-writer-id"),
  row("V6", "what one writer stamps rises strictly", ROWS, "stamps-twice-in-one-tick"),
  row("V7", "a local write wins over all its writer has seen", NODE, "stamps-ignore-what-was-seen"),
  row("V8", "a used-up clock refuses instead of losing count", LAWS, "stamps-beyond-count"),
  row("V9", "a writer's entry is folded when all members cover it", BOOK, "retire-by-age"),
  row("V10", "times too far ahead are refused", FRAMES, "no-jump-limit"),
  row("S1", "all that knowledge covers is held or superseded", ROWS, "join-on-last-frame"),
  row("S2", "a row's version never goes back", ROWS, "arrival-order-wins"),
  row("S3", "every row held is one that was written", ROWS, "writers-of-the-frame"),
  row("S4", "only the frames of one answer move knowledge", DIRECTED, "mix-answers"),
  row("S5", "an answer's knowledge is of the instant of its list", STEPS, "knowledge-after-list"),
  row("S6", "an answer lists every row that its asker lacks", STEPS, "asker-known-one-too-far"),
  row("S7", "a listed shard taken for known is known", STEPS, "generator-ignored"),
  row("S8", "early rows are the rows ahead of knowledge, and urgent ones never move it", STEPS, "early-set-cleared"),
  row(
    "S9",
    "early rows are in the update cache, urgent ones also in the urgent list",
    STEPS,
    "early-rows-skip-the-cache",
  ),
  row("S10", "merging in any order, and again, gives the same rows", LAWS, "no-tie-break"),
  row("S11", "answers to another life or pull change nothing", DIRECTED, "accept-foreign-pull"),
  row("S12", "what a start reads is sound", ROWS, "image-one-row-short"),
  row("S13", "damaged frames and images are refused", STEPS, "checksum-off"),
  row("S14", "a deleted row stays away until written again", ROWS, "deletion-arrives-as-row"),
  row("S15", "who may have missed a settled deletion takes a copy", STEPS, "incremental-behind-the-graveyard"),
  row("S16", "answering changes nothing at the responder", STEPS, "responder-learns-from-asker"),
  row("S17", "equal knowledge and nothing early means equal rows", ROWS, "values-of-another-row"),
  row("S18", "nothing held when all is healed is lost", STEPS, "list-cut-short"),
  row("S19", "of writes to one row the newest wins everywhere", STEPS, "no-tie-break"),
  row("S20", "what is kept for others is bounded", STEPS, "answers-kept-for-ever"),
  row("L1", "after healing all becomes equal in time", ENDING, "waiting-shards-forgotten"),
  row("L2", "and does so while messages still get lost", ENDING, "resend-forgets-first"),
  row("L3", "no pull is held back for urgent rows longer than it may be", STEPS, "strict-priority-without-ageing"),
  row("L4", "and then nothing is pulled any more", ENDING, "new-version-after-every-pull"),
  row("L5", "without loss a row crosses a link once a version", STEPS, "whole-shard-in-each-answer"),
  row("L6", "a replica always takes writes", NODE, "no-write-during-a-pull"),
  row("L8", "updates go round a link that stays cut", ENDING, "relay-is-silent"),
  row("X1", "rows outside the cache are below its floor, those in it above", CACHE, "floor-zero-on-restart"),
  row("X2", "the update cache answers as a scan would", CACHE, "full-cache-drops-silently"),
  row("X3", "a later shard version knows at least as much", ROWS, "shard-counter-goes-back"),
  row("X4", "all up to a cursor in an urgent list is visible", URGENT, "urgent-cursor-overwritten-instead-of-max"),
  row("X5", "no row left early is seen by some replicas only", ENDING, "orphan-of-a-row-not-held-is-left"),
  row("X6", "equal neighbours reach one shard version and stop", DIRECTED, "swap-shard-versions"),
  row("X8", "a version has one content everywhere", ROWS, "values-of-another-row"),
  row("X9", "optimizer state travels with its row", STEPS, "state-left-behind"),
  row(
    "X10",
    "only the primary expires, and what is below the horizon is gone",
    BOOK,
    "follower-expires-by-its-own-clock",
  ),
  row(
    "B1",
    "over its budget a table loses the rows written longest ago, and no more than it must",
    EVICTIONS,
    "evicts-the-newest",
  ),
  row("X11", "a lost message never hides a changed shard", POLLS, "older-pull-settles-newer-change"),
  row("E1", "at most one node of a region takes itself for a shard's leader", LEASES, "lease-by-wall-clock"),
  row("E2", "with several leaders, or none, all holds that holds with one", LEASES, "left-for-ever"),
  row("E3", "a leader that died is replaced within three leases", LEASES, "successor-waits-too-long"),
  row("E4", "without trouble no leader changes", LEASES, "renewed-when-it-is-over"),
  row(
    "E5",
    "a leader that was asleep does nothing as leader before it knows that it is",
    LEASES,
    "leader-does-not-look",
  ),
  row("E6", "a leader's change during a pull leaves no gap and no open pull", ENDING, "leader-change-forgets-pulls"),
  row("X12", "a row left early is superseded by the primary", ENDING, "orphan-never-reported"),
  row("P1", "of each epoch one primary writes", PROMOTIONS, "superseded-primary-goes-on"),
  row(
    "P2",
    "nothing of an earlier epoch survives but what the epoch began with",
    PROMOTIONS,
    "expiry-of-an-earlier-epoch-counts",
  ),
  row("P3", "what positions say was learned is in the rows", SAMPLES, "positions-never-go-back"),
  row("P4", "after any promotions each sample that counts took effect once", SAMPLES, "position-not-carried"),
  row("I1", "any bytes end in a frame or a decode error", FRAMES, "error-of-another-kind"),
  row("I2", "a frame has one encoding", FRAMES, "shard-version-off-by-one"),
  row("I3", "NaN and infinity are refused", FRAMES, "infinity-is-a-number"),
  row("I4", "nobody mints in another's name", FRAMES, "anyone-mints-in-our-name"),
  row("I6", "the same seed gives the same history", "properties/verify-worker.ts", "retry-by-chance"),
  row("I7", "another layout is refused whole", FRAMES, "layout-version-ignored"),
  row("I8", "a full copy takes no more memory than it may", FRAMES, "copy-of-any-size"),
  row("W1", "what is in flight on a link is bounded, however many shards", LINKS, "each-pull-its-own-window"),
  row("W2", "a link with work is used, and its queue bounded", LINKS, "window-never-shrinks"),
  row("W3", "what is small waits for no catch-up, and these end", LINKS, "what-is-small-waits-for-catch-ups"),
  row("W4", "a link's byte budget is kept", LINKS, "budget-forgets-its-debt"),
  row("W5", "no peer keeps another from being asked", LINKS, "always-the-best-peer"),
  row("W6", "what changes where a pull stands is there in one crossing", STANDING, "what-stands-is-not-answered"),
  row("W7", "a pull that stands is silent, and is let go with one message", STANDING, "stands-for-ever"),
  row("W8", "answers about a shard keep their distance, however it is asked for", STANDING, "listed-within-a-gap"),
];

function row(property: string, statement: string, ...[file, bug]: readonly [file: string, bug: string]): CatalogueRow {
  return { property, statement, file, bug };
}
