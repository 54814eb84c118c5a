/*
 * What is noted and looked at around the steps of one node, in runs that are looked at.
 */
import { type Replica } from "../../protocols/sync/replica.ts";
import { type WriterId } from "../../protocols/sync/version.ts";
import { parsePoll } from "../../protocols/wire/poll.ts";
import { type ParsedPull } from "../../protocols/wire/pull.ts";
import { type ShardChecker } from "./checkers.ts";
import { type Surroundings } from "./surroundings.ts";

/** A replica answered a message to it, or may have: counts how, and looks at an answer that was opened. */
export function noteServed(
  world: Surroundings,
  options: {
    readonly replica: Replica;
    readonly before: { readonly answersOpened: number; readonly scans: number; readonly gaveUp: number };
    readonly asker: ParsedPull | undefined;
    readonly shard: number;
    readonly checker: ShardChecker;
    readonly where: string;
  },
): void {
  const { replica, before, asker, ...place } = options;
  const { answersOpened, cache } = replica;
  if (answersOpened <= before.answersOpened) return;
  world.count(cache.counts.scans > before.scans ? "answer by a scan" : "answer from the cache");
  if (before.gaveUp > 0) world.count("answer after the cache gave up");
  const answer = [...replica.answers.values()].at(-1);
  if (answer !== undefined && asker !== undefined) world.steps.answered(replica, { answer, asker, ...place });
}

/** Pulls that stood at a replica were answered in a step: those of the answers that it had not opened before. */
export function noteAnswers(
  world: Surroundings,
  options: {
    readonly replica: Replica;
    readonly openedBefore: number;
    readonly pulls: ReadonlyMap<string, ParsedPull>;
    readonly shard: number;
    readonly checker: ShardChecker;
    readonly where: string;
  },
): void {
  const { replica, openedBefore, pulls, ...place } = options;
  for (const answer of replica.answers.values()) {
    if (answer.id.number <= openedBefore) continue;
    world.count("standing pull answered");
    const asker = pulls.get(answer.pullId);
    if (asker === undefined) throw new RangeError(`Cannot check an answer to pull ${answer.pullId}: it never came`);
    world.steps.answered(replica, { answer, asker, ...place });
  }
}

export function notePoll(world: Surroundings, body: unknown, writer: WriterId): void {
  const { cursor } = parsePoll(body);
  if (cursor !== undefined && cursor.writer !== writer) world.count("poll cursor of another life");
}
