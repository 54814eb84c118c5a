import { forEachOf, type CrashRows } from "./crash-rows.ts";
import { type SampleLog } from "./crash-samples.ts";
import { type Shown } from "./crash-stream.ts";

/** Something that should have happened once, and how often it did. */
export interface Deviation {
  readonly what: string;
  readonly expected: string;
  readonly found: number;
}

/** What the stream of samples and the rows say of what was sent. */
export interface CrashVerdict {
  readonly impressions: number;
  /** Impressions that were clicked, and the clicks that the catalogue counts. */
  readonly clicks: number;
  readonly clicksApplied: number;
  readonly lostClicks: readonly Deviation[];
  readonly doubledClicks: readonly Deviation[];
  readonly samples: number;
  readonly lostSamples: readonly Deviation[];
  readonly doubledSamples: readonly Deviation[];
  readonly steps: number;
  readonly lostSteps: readonly Deviation[];
  readonly doubledSteps: readonly Deviation[];
}

/** What should not be there at all, of each kind. */
export type Deviations = Pick<
  CrashVerdict,
  "lostClicks" | "doubledClicks" | "lostSamples" | "doubledSamples" | "lostSteps" | "doubledSteps"
>;

export function deviationsOf(verdict: Deviations): Deviations {
  const { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps } = verdict;
  return { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps };
}

export const NO_DEVIATIONS: Deviations = {
  lostClicks: [],
  doubledClicks: [],
  lostSamples: [],
  doubledSamples: [],
  lostSteps: [],
  doubledSteps: [],
};

/** Samples that an impression lacks in the stream. A click needs its positive, everything else its negative. */
export function lacking(shown: Iterable<readonly [string, Shown]>, { published }: SampleLog): Deviation[] {
  const lost: Deviation[] = [];
  for (const [key, { clicked }] of shown) {
    const id = `${key}:${clicked ? 1 : 0}`;
    if (!published.has(id)) lost.push({ what: `sample ${id}`, expected: "1", found: 0 });
  }
  return lost;
}

/** Compares what was sent with what was published, and that with what every row counts. */
export async function judge(
  shown: ReadonlyMap<string, Shown>,
  found: { readonly log: SampleLog; readonly rows: CrashRows; readonly isStepPerMessage?: boolean },
): Promise<CrashVerdict> {
  const { log, rows, isStepPerMessage = false } = found;
  const items = new Map<string, { time: number; clicks: number }>();
  for (const { item, time, clicked } of shown.values()) {
    items.set(item, { time, clicks: (items.get(item)?.clicks ?? 0) + (clicked ? 1 : 0) });
  }
  const counted = await forEachOf([...items], async ([item, { time, clicks }]): Promise<Deviation> => {
    const count = (await rows.clicks(item, time)) ?? 0;
    return { what: `clicks of ${item}`, expected: String(clicks), found: Math.round(count * 1e6) / 1e6 };
  });
  const stepped = await forEachOf([...shown.values()], async ({ user }) => {
    const messages = log.messagesOf.get(user)?.size ?? 0;
    // Messages that were taken in one batch make one step of a row between them; where none is taken with another, a lost one shows.
    const least = isStepPerMessage ? messages : Math.min(1, messages);
    return { what: `steps of ${user}`, least, most: messages, found: await rows.steps(user) };
  });
  return {
    impressions: shown.size,
    clicks: [...shown.values()].filter(({ clicked }) => clicked).length,
    clicksApplied: counted.reduce((sum, { found: clicks }) => sum + clicks, 0),
    lostClicks: counted.filter(({ expected, found: clicks }) => clicks < Number(expected)),
    doubledClicks: counted.filter(({ expected, found: clicks }) => clicks > Number(expected)),
    samples: [...log.published.values()].reduce((sum, messages) => sum + messages.length, 0),
    lostSamples: lacking(shown, log),
    doubledSamples: doubled(shown, log),
    steps: stepped.reduce((sum, { found: steps }) => sum + steps, 0),
    lostSteps: stepped.filter(({ found: steps, least }) => !(steps >= least)).map(describeSteps),
    doubledSteps: stepped.filter(({ found: steps, most }) => steps > most).map(describeSteps),
  };
}

/** Ids that were published more than once, positives that do not say of a negative before them, and samples of nothing that was shown. */
function doubled(shown: ReadonlyMap<string, Shown>, { published }: SampleLog): Deviation[] {
  const wrong: Deviation[] = [];
  for (const [id, messages] of published) {
    const key = id.slice(0, -2);
    const impression = shown.get(key);
    const may = impression !== undefined && (id.endsWith(":0") || impression.clicked) ? 1 : 0;
    if (messages.length > may) wrong.push({ what: `sample ${id}`, expected: String(may), found: messages.length });
    if (!id.endsWith(":1")) continue;
    const before = published.get(`${key}:0`);
    for (const { correction } of messages) {
      if (correction !== (before !== undefined)) {
        wrong.push({
          what: `correction of ${key}`,
          expected: before === undefined ? "0" : "1",
          found: correction ? 1 : 0,
        });
      }
    }
  }
  return wrong;
}

function describeSteps({
  what,
  least,
  most,
  found,
}: {
  readonly what: string;
  readonly least: number;
  readonly most: number;
  readonly found: number;
}): Deviation {
  return { what, expected: least === most ? String(most) : `${least} to ${most}`, found };
}
