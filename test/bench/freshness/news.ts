/*
 * Which article does a reader click next? One pass over the clicks in time order; what is asked at a time is answered by replicas that are
 * behind the trainer by each of the lags. Nothing is copied for that: when the trainer is at a time, its model is what a replica with that lag has the lag
 * later, so the clicks of then are asked now. The reader's own last clicks come with the request, and are as fresh as it.
 */
import { type Backend } from "../../../protocols/compute/backend.ts";
import { type ModelDeclaration } from "../../../protocols/model.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../../../protocols/random.ts";
import { BatchModel, type BatchSample } from "../batch-model.ts";
import { type ClickColumns } from "./clicks.ts";
import { RecentClicks } from "./recent-clicks.ts";

const DIM = 8;

/** As a region's config would declare it: `last` and `previous` are features of the request, the numbers are the catalogue's. */
export const NEWS_MODEL: ModelDeclaration = {
  name: "news",
  shards: 1,
  architecture: { kind: "deepfm", embedding: DIM, deep: [] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "last", key: "last" },
    { name: "previous", key: "previous" },
  ],
  dense: ["popularity", "trend", "age"],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
};

export type Recommender = "model" | "popularity of the last hour" | "item co-occurrence";

/** One click that was asked for, and how each lag's replica answered. */
export interface Asked {
  readonly user: number;
  /** Drawn from all clicks alike; the others were added because their articles are new. */
  readonly isDrawn: boolean;
  readonly isNew: boolean;
  /** By lag: the place of the clicked article, from 1; Infinity when it was not among the candidates. */
  readonly ranks: Readonly<Record<Recommender, Float64Array>>;
  /** By lag: of articles drawn from those that were clicked in the hour before, the share that the model puts behind the clicked one. */
  readonly auc: Float64Array;
}

export interface NewsOptions {
  readonly seed: number;
  readonly backend: Backend;
  readonly lagsMs: readonly number[];
  /** Of the clicks, so many are asked for; of clicks on articles under an hour old more. */
  readonly askedShare: number;
  readonly askedNewShare: number;
  readonly onProgress: (done: number) => void;
  readonly isStopped: () => boolean;
}

const DAY_MS = 86_400_000;
const NEW_MS = 3_600_000;
const NEGATIVES = 4;
const STEP_MS = 1_000;
const STEP_CLICKS = 64;
const CANDIDATES_MAX = 1_000;
const AUC_NEGATIVES = 20;
const SESSION_MAX = 20;
/** A first place after it is none. */
const PLACES = 10;

export function askNews(
  clicks: ClickColumns,
  options: NewsOptions,
): { readonly asked: readonly Asked[]; readonly trained: number } {
  const { lagsMs, backend, seed } = options;
  const { count, item, user, before, time } = clicks;
  const random = createRandom(seed);
  const model = new BatchModel(NEWS_MODEL, {
    backend,
    batchMax: CANDIDATES_MAX + AUC_NEGATIVES + 1,
    rows: [clicks.users, clicks.items, clicks.items + 1, clicks.items + 1],
    seed,
  });
  const recent = new RecentClicks(clicks);
  const { questions, negatives } = drawQuestions(clicks, options);
  const asked = questions.map(({ at, isDrawn, isNew }): Asked => {
    function perLag(): Float64Array {
      return new Float64Array(lagsMs.length);
    }
    const ranks = { model: perLag(), "popularity of the last hour": perLag(), "item co-occurrence": perLag() };
    return { user: user[at] ?? 0, isDrawn, isNew, ranks, auc: perLag() };
  });
  const pending: BatchSample[] = [];
  let pendingClicks = 0;
  let pendingSince = 0;
  let trained = 0;
  const dense = new Float32Array(RecentClicks.columns);
  const rows = new Int32Array(NEWS_MODEL.tables.length);

  function contextRows(at: number, to: Int32Array): void {
    const last = before[at] ?? -1;
    const previous = last < 0 ? -1 : (before[last] ?? -1);
    to[0] = user[at] ?? 0;
    to[2] = last < 0 ? clicks.items : (item[last] ?? 0);
    to[3] = previous < 0 ? clicks.items : (item[previous] ?? 0);
  }

  function flush(): void {
    if (pending.length === 0) return;
    model.learn(pending);
    trained += pending.length;
    pending.length = 0;
    pendingClicks = 0;
  }

  function train(at: number): void {
    const now = time[at] ?? 0;
    const total = recent.clicksOfHour;
    const clicked = item[at] ?? 0;
    // What nobody clicked in the last hour is never drawn as a negative: a model would learn that it is always clicked.
    if (total < 100 || recent.ofHour(clicked) === 0) return;
    if (pendingClicks === 0) pendingSince = now;
    pendingClicks += 1;
    for (let draw = 0; draw <= NEGATIVES; draw += 1) {
      const i = draw === 0 ? clicked : recent.draw(random);
      if (draw > 0 && i === clicked) continue;
      const sample = { rows: new Int32Array(rows.length), dense: new Float32Array(RecentClicks.columns) };
      contextRows(at, sample.rows);
      sample.rows[1] = i;
      recent.dense(i, now, { to: sample.dense, at: 0 });
      const kept = Math.min(1, (NEGATIVES * recent.ofHour(i)) / total);
      pending.push({ ...sample, label: draw === 0 ? 1 : 0, kept });
    }
    if (pendingClicks >= STEP_CLICKS) flush();
  }

  function ask(question: number, lag: number): void {
    const at = questions[question]?.at ?? 0;
    const into = asked[question];
    if (into === undefined) return;
    const nowMs = (time[at] ?? 0) - (lagsMs[lag] ?? 0);
    flush();
    recent.moveTo(nowMs);
    const target = item[at] ?? 0;
    const seen = sessionOf(clicks, at, target);
    const candidates = candidatesOf(recent).filter((i) => !seen.has(i));
    contextRows(at, rows);
    const drawn = negatives[question] ?? [];
    const all = [...candidates, target, ...drawn];
    for (const [place, i] of all.entries()) {
      rows[1] = i;
      recent.dense(i, nowMs, { to: dense, at: 0 });
      model.place(place, rows, dense);
    }
    const scores = model.predict(all.length);
    const own = scores[candidates.length] ?? 0;
    const isCandidate = recent.ofHour(target) > 0 && candidates.includes(target);
    let better = 0;
    for (let place = 0; place < candidates.length; place += 1) if ((scores[place] ?? 0) > own) better += 1;
    into.ranks.model[lag] = isCandidate ? better + 1 : Infinity;
    let behind = 0;
    for (let place = candidates.length + 1; place < all.length; place += 1) {
      const other = scores[place] ?? 0;
      behind += other < own ? 1 : other === own ? 0.5 : 0;
    }
    into.auc[lag] = drawn.length === 0 ? Number.NaN : behind / drawn.length;
    const last = rows[2] ?? 0;
    const together = recent.together(last);
    into.ranks["popularity of the last hour"][lag] = placeBy((i) => recent.ofHour(i), { candidates, target });
    // What was never clicked together with the last article follows by popularity.
    into.ranks["item co-occurrence"][lag] = placeBy((i) => 1e6 * (together.get(i) ?? 0) + recent.ofHour(i), {
      candidates:
        together.size === 0
          ? candidates
          : [...new Set([...candidates, ...together.keys()])].filter((i) => !seen.has(i)),
      target,
    });
  }

  const next = lagsMs.map(() => 0);
  for (let at = 0; at < count; at += 1) {
    const now = time[at] ?? 0;
    for (const [lag, lagMs] of lagsMs.entries()) {
      for (let question = next[lag] ?? 0; question < questions.length; question += 1) {
        const of = questions[question]?.at ?? 0;
        if (lagMs === 0 ? of !== at : (time[of] ?? 0) - lagMs > now) break;
        ask(question, lag);
        next[lag] = question + 1;
      }
    }
    if (pendingClicks > 0 && now - pendingSince >= STEP_MS) flush();
    recent.moveTo(now);
    train(at);
    recent.take();
    if (at % 20_000 === 0) {
      options.onProgress(at / count);
      if (options.isStopped()) break;
    }
  }
  return { asked, trained };
}

interface Question {
  readonly at: number;
  readonly isDrawn: boolean;
  readonly isNew: boolean;
}

/** The clicks that are asked for, from the second day on, and for each some of the articles that were clicked in the hour before it. */
function drawQuestions(
  clicks: ClickColumns,
  options: NewsOptions,
): { readonly questions: readonly Question[]; readonly negatives: readonly (readonly number[])[] } {
  const { count, item, time, firstSeen } = clicks;
  const random: Random = createRandom(options.seed + 1_000_000);
  const from = (time[0] ?? 0) + DAY_MS;
  const questions: Question[] = [];
  const negatives: number[][] = [];
  const recent = new RecentClicks(clicks);
  for (let at = 0; at < count; at += 1) {
    const now = time[at] ?? 0;
    recent.moveTo(now);
    const isDrawn = nextFloat(random) < options.askedShare;
    const isAdded = nextFloat(random) < options.askedNewShare;
    const target = item[at] ?? 0;
    const age = now - (firstSeen[target] ?? now);
    const isNew = age < NEW_MS;
    // The first click on an article asks for what nobody has seen.
    if (now >= from && age > 0 && (isDrawn || (isNew && isAdded))) {
      questions.push({ at, isDrawn, isNew });
      negatives.push(drawOthers(recent.active, target, random));
    }
    recent.take();
  }
  return { questions, negatives };
}

function drawOthers(active: readonly number[], target: number, random: Random): number[] {
  const drawn: number[] = [];
  for (let tries = 0; tries < 3 * AUC_NEGATIVES && drawn.length < AUC_NEGATIVES; tries += 1) {
    const other = active[nextBelow(random, active.length)] ?? target;
    if (other !== target) drawn.push(other);
  }
  return drawn;
}

/** What the reader clicked in this session already is not recommended again. */
function sessionOf({ item, before }: ClickColumns, at: number, target: number): Set<number> {
  const seen = new Set<number>();
  let earlier = before[at] ?? -1;
  for (let steps = 0; earlier >= 0 && steps < SESSION_MAX; steps += 1) {
    seen.add(item[earlier] ?? 0);
    earlier = before[earlier] ?? -1;
  }
  seen.delete(target);
  return seen;
}

/** Articles with a click in the last hour; where these are too many, those with more. */
function candidatesOf(recent: RecentClicks): readonly number[] {
  let found = recent.active;
  for (let least = 2; found.length > CANDIDATES_MAX; least += 1) found = found.filter((i) => recent.ofHour(i) >= least);
  return found;
}

function placeBy(
  score: (item: number) => number,
  { candidates, target }: { readonly candidates: readonly number[]; readonly target: number },
): number {
  const own = score(target);
  if (own <= 0) return Infinity;
  let place = 1;
  for (const i of candidates) {
    const other = score(i);
    if (i !== target && (other > own || (other === own && i < target))) place += 1;
    if (place > PLACES) return Infinity;
  }
  return place;
}
