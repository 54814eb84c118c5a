import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { PEER_NAMES } from "./peer-engines.ts";
import { measureJetStream } from "./peer-jetstream.ts";
import { measureLibrary } from "./peer-libraries.ts";
import { measureRedis } from "./peer-redis.ts";
import { AWAY_KEYS, type PeerAbsent, type PeerCost } from "./peer-work.ts";
import { measureOurs } from "./sync-live.ts";

/** The same work by whoever is there, in one run: what each needs, and how many times as much as Freshet. */
export async function* syncPeers(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { progress, signal, peers: folder } = options;
  try {
    progress.write("sync-peers: freshet\n");
    const ours = await measureOurs(options);
    yield* describe(ours, ours);
    const runs: readonly (() => Promise<PeerCost | PeerAbsent>)[] = [
      () => measureRedis({ folder, signal }),
      () => measureJetStream({ signal }),
      ...PEER_NAMES.map((name) => () => measureLibrary(name, { folder, signal })),
    ];
    for (const run of runs) {
      if (signal.aborted) return;
      const cost = await run();
      if ("why" in cost) progress.write(`sync-peers: ${cost.peer} is not here: ${cost.why}\n`);
      else {
        progress.write(`sync-peers: ${cost.peer}\n`);
        yield* describe(cost, ours);
      }
    }
  } catch (error) {
    // Ended by whoever started it: the processes went in the middle of something.
    if (!signal.aborted) throw error;
  }
}

function* describe(cost: PeerCost, ours: PeerCost): Generator<BenchFigure> {
  const scaled = cost.part === undefined ? "" : `, from ${cost.part * 100} % of the updates`;
  function figure(name: string, unit: string, of: (one: PeerCost) => number): BenchFigure {
    const beside = cost === ours ? {} : { compared: "freshet", ratio: of(cost) / of(ours) };
    return { bench: "sync-peers", figure: `${cost.peer}: ${name}`, value: of(cost), unit, ...beside };
  }
  yield figure(`live MB${scaled}`, "MB", ({ liveBytes }) => liveBytes / 1e6);
  yield figure(`CPU of the writer${scaled}`, "s", ({ writerS }) => writerS);
  yield figure(`CPU of the replica${scaled}`, "s", ({ replicaS }) => replicaS);
  yield figure("catch-up bytes per changed row", "B", ({ catchUpBytes }) => catchUpBytes / AWAY_KEYS);
  const equal = { ...figure("ends equal", "", ({ isEqual }) => (isEqual ? 1 : 0)), target: "1", met: cost.isEqual };
  yield equal;
}
