import { type Known } from "../../protocols/sync/horizon.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { type WriterId } from "../../protocols/sync/version.ts";
import { type Judge } from "./judge.ts";
import { knowsAll } from "./seen-row.ts";

interface Behind extends Known {
  readonly counter: number;
}

/** What was known behind each shard version of one shard, by whoever first had it. */
export class VersionBook {
  readonly #judge: Judge;
  /** Per generator, in order of the counter. */
  readonly #behind = new Map<WriterId, Behind[]>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  knowledgeBehind(version: ShardVersion): Known | undefined {
    return this.#behind.get(version.generator)?.findLast(({ counter }) => counter === version.counter);
  }

  /** X3: who has a later shard version of a generator knows at least as much. */
  check({ version, knowledge, horizon }: Replica, where: string): void {
    const ours: Known = { epoch: horizon.epoch, settled: horizon.settled, knowledge };
    const known = this.#behind.get(version.generator) ?? [];
    this.#behind.set(version.generator, known);
    let at = known.length - 1;
    while (at >= 0 && (known[at]?.counter ?? 0) > version.counter) at -= 1;
    const behind = known[at];
    const ahead = known[at + 1];
    const isKept = behind?.counter === version.counter;
    const isSound =
      (behind === undefined || knowsAll(ours, behind)) &&
      (ahead === undefined || knowsAll(ahead, ours)) &&
      (!isKept || knowsAll(behind, ours));
    if (!isSound) {
      this.#judge.breach(
        "X3",
        `${where} has shard version ${version.counter} of ${version.generator}, and its knowledge does not lie between that behind ${behind?.counter} and ${ahead?.counter}`,
      );
    }
    if (isKept) return;
    const { counter } = version;
    known.splice(at + 1, 0, { ...ours, counter, knowledge: new Map(ours.knowledge) });
  }
}
