// Planted bugs in versions, clocks, polls, checks of frames and their bytes.
import { type Mutant } from "./mutant.ts";

export const RULE_MUTANTS: readonly Mutant[] = [
  {
    name: "absent-writer-is-known",
    file: "protocols/sync/knowledge.ts",
    edits: [["if (t > (a.get(writer) ?? 0)) return false;", "if (t > (a.get(writer) ?? t)) return false;"]],
  },
  {
    name: "epochs-as-text",
    file: "protocols/sync/version.ts",
    edits: [
      [
        "const epochs = epochOf(a.writer) - epochOf(b.writer);",
        "const epochs = epochOf(a.writer) === epochOf(b.writer) ? 0 : a.writer < b.writer ? -1 : 1;",
      ],
    ],
  },
  {
    name: "versions-without-tie-break",
    file: "protocols/sync/version.ts",
    edits: [["return a.writer < b.writer ? -1 : 1;", "return 0;"]],
  },
  {
    name: "stamps-beyond-count",
    file: "protocols/sync/stamper.ts",
    edits: [["if (!(t <= T_MAX))", "if (Number.isNaN(t))"]],
  },
  {
    name: "no-jump-limit",
    file: "protocols/sync/stamper.ts",
    edits: [["return t <= (clock.nowMs + clock.jumpMs) * 1000;", "return t > 0 || clock.nowMs < 0;"]],
  },
  {
    name: "stamps-twice-in-one-tick",
    file: "protocols/sync/stamper.ts",
    edits: [
      [
        "Math.max(Math.floor(nowMs * 1000), stamper.last + 1, stamper.greatestSeen + 1)",
        "Math.max(Math.floor(nowMs * 1000), stamper.greatestSeen + 1)",
      ],
    ],
  },
  {
    name: "generator-ignored",
    file: "protocols/sync/shard-version.ts",
    edits: [["return a.generator === b.generator && a.counter >= b.counter;", "return a.counter >= b.counter;"]],
  },
  {
    name: "merge-keeps-shard-version",
    file: "protocols/sync/shard-version.ts",
    edits: [['return merge.changed ? "new" : merge.ours;', "return merge.ours;"]],
  },
  {
    name: "new-version-after-every-pull",
    file: "protocols/sync/shard-version.ts",
    edits: [["return merge.changed ? merge.peers : greaterVersion(merge.ours, merge.peers);", 'return "new";']],
  },
  {
    name: "lost-poll-not-repeated",
    file: "protocols/sync/poll-neighbours.ts",
    edits: [['if ((what === "poll" && neighbour.asked) || (what', "if ((what"]],
  },
  {
    name: "waiting-shards-forgotten",
    file: "protocols/sync/poll-pulls.ts",
    edits: [["for (const waiting of blocked ?? []) makeReady(poller, waiting);", ""]],
  },
  {
    name: "polls-of-all-lives-count-alike",
    file: "protocols/sync/poll-neighbours.ts",
    edits: [["return (1 + hashText(writer, 0)) * 2 ** 20;", "return 0 * writer.length;"]],
  },
  {
    name: "the-rest-of-a-list-counts-alike",
    file: "protocols/sync/poll-neighbours.ts",
    edits: [["neighbour.isListed ? 0 : idsOfStart(poller)", "neighbour.cursor === undefined ? idsOfStart(poller) : 0"]],
  },
  {
    name: "cursor-of-another-life",
    file: "protocols/sync/poll-answers.ts",
    edits: [
      [
        "return cursor.writer === writer && cursor.change <= changes.latest;",
        "return cursor.change <= changes.latest || writer === undefined;",
      ],
    ],
  },
  {
    name: "listing-leaves-out-oldest",
    file: "protocols/sync/change-list.ts",
    edits: [["entry.change > options.change; entry", "entry.change > options.change + 1; entry"]],
  },
  {
    name: "numbers-not-checked",
    file: "protocols/sync/precision.ts",
    edits: [["at + 4 <= bytes.length; at += 4) {", "at + 4 <= 0; at += 4) {"]],
  },
  {
    name: "infinity-is-a-number",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "(view.getInt32(at, true) & F32_EXPONENT) === F32_EXPONENT",
        "(view.getInt32(at, true) & 0x7fff_ffff) > F32_EXPONENT",
      ],
    ],
  },
  {
    name: "halves-not-checked",
    file: "protocols/sync/precision.ts",
    edits: [["& F16_EXPONENT) === F16_EXPONENT", "& 0x7f00) === 0x7f00"]],
  },
  {
    name: "scales-not-checked",
    file: "protocols/sync/precision.ts",
    edits: [["if (!(scale >= 0) || ", "if ("]],
  },
  {
    name: "scale-may-overflow",
    file: "protocols/sync/precision.ts",
    edits: [["|| Math.fround(scale * STEPS) === Infinity)", "|| scale === Infinity)"]],
  },
  {
    name: "overflow-is-held",
    file: "protocols/sync/map-row.ts",
    edits: [["if (!areFinite(spec, values) || ", "if ("]],
  },
  {
    name: "state-not-checked",
    file: "protocols/sync/check-frame.ts",
    edits: [["if (section.state !== undefined && !areFloatsFinite(section.state))", "if (false)"]],
  },
  {
    name: "anyone-mints-in-our-name",
    file: "protocols/sync/check-frame.ts",
    edits: [["if (writer === replica.writer) {", "if (false) {"]],
  },
  {
    name: "knowledge-not-checked",
    file: "protocols/sync/check-frame.ts",
    edits: [
      [
        "for (const [writer, t] of frame.end?.knowledge ?? []) {",
        "for (const [writer, t] of new Map<WriterId, number>()) {",
      ],
    ],
  },
  {
    name: "layout-version-ignored",
    file: "protocols/wire/frame-codec.ts",
    edits: [["if (version !== FRAME_VERSION)", "if (version === 0)"]],
  },
  {
    name: "copy-of-any-size",
    file: "protocols/sync/staged-copy.ts",
    edits: [["if (stagedBytes + body.length <= limits", "if (body.length <= limits"]],
  },
  {
    name: "shard-version-off-by-one",
    file: "protocols/wire/frame-codec.ts",
    edits: [["version: { counter, generator }, early:", "version: { counter: counter + 1, generator }, early:"]],
  },
  {
    name: "error-of-another-kind",
    file: "protocols/wire/knowledge-section.ts",
    edits: [
      [
        'if (!isWriterId(text)) throw reader.fail("a writer id is malformed");',
        'if (!isWriterId(text)) throw new RangeError("malformed");',
      ],
    ],
  },
];
