/*
 * What simulated worlds must keep getting into, at least so often in 1,000 seeds: a world that stops exercising something says so.
 */
const SITUATIONS: Readonly<Record<string, number>> = {
  "all cuts mended": 100,
  "answer after the cache gave up": 1_000,
  "answer by a scan": 1_000,
  "answer from the cache": 1_000,
  "answer in a calm world": 100,
  "answer with rows": 1_000,
  "answer without rows": 1_000,
  "clock jump": 100,
  "crash with the disk": 100,
  "cut at random": 100,
  "cut in halves": 100,
  "cut one node": 100,
  "cut one way": 100,
  "cut to a bridge": 100,
  "cut to a ring": 100,
  "cuts of one node mended": 100,
  "damaged frame": 100,
  deleted: 1_000,
  "disk lost": 100,
  "frame lost": 1_000,
  "lasting cut": 100,
  "lasting loss": 100,
  "link clogged": 100,
  "listed shard was known": 1_000,
  "message repeated": 1_000,
  pause: 100,
  "poll cursor of another life": 100,
  "poll refused stale": 100,
  "pull complete": 1_000,
  "pull failed: gone": 100,
  "pull failed: no-answer": 100,
  "pull repeated by the net": 100,
  "pull while all answers are in use": 100,
  "refused a frame or refusal of another answer": 100,
  "refused a frame or refusal of another pull": 100,
  "refused a frame or refusal repeated": 100,
  "refused undecodable": 100,
  "restart from an older image": 100,
  "restart with a damaged image": 100,
  "restart with early rows": 100,
  "restart within a round trip": 100,
  "same time stamped by two writers": 100,
  "saved with early rows": 100,
  "sent more": 100,
  "sent refuse": 100,
  "shard listed while it is pending": 100,
  "shard version adopted": 1_000,
  "stamped ahead of the clock": 100,
  written: 10_000,
};

/** How often a situation came up in 1,000 seeds, of those that came up too rarely. */
export function rareSituations(
  counts: Readonly<Record<string, number>>,
  seeds: number,
): { readonly situation: string; readonly perThousand: number; readonly floor: number }[] {
  return Object.entries(SITUATIONS).flatMap(([situation, floor]) => {
    const perThousand = ((counts[situation] ?? 0) * 1000) / seeds;
    return perThousand < floor ? [{ situation, perThousand, floor }] : [];
  });
}
