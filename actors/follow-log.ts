import { memberName } from "../protocols/model-state/members.ts";
import { type LogEntry, type RegionLogState } from "../protocols/model-state/region-log.ts";
import { logHome } from "../protocols/model-state/role.ts";
import { type Context } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { copyStream } from "./copy-stream.ts";
import { type StateManagerConfig } from "./state-manager.ts";
import { type LogRead, type StateManagerProtocol } from "./state-manager-protocol.ts";

/** What is known of the log, and whether all of the own region's stream is. */
export interface KnownLog {
  readonly log: RegionLogState;
  readonly knowsOwn: boolean;
}

/**
 * Reads the next part of the log: the own region's stream first, then the one in which the log goes on; what comes from there is kept
 * in the own one. All that regions hold are beginnings of one log. Where the own one is empty this is the first start of all, or what was
 * there is lost: then nothing is known before every region that may hold the log was read.
 */
export function createLogReader(
  config: StateManagerConfig,
  context: Context<StateManagerProtocol>,
): (known: KnownLog) => Promise<LogRead> {
  const stream = context.ref<StreamProtocol>(config.stream);

  async function read(region: string, from: { readonly fromSeq: number; readonly waitMs: number }): Promise<LogRead> {
    const request = { region, stream: "LOG", max: READ_MAX, ...from };
    const { messages, lastSeq } = await stream.ask("read", request, { signal: deadline(from.waitMs + ASK_MS) });
    return { region, messages, lastSeq };
  }

  /** Another region's part of the log, once the own stream has it too. */
  async function keep(part: LogRead): Promise<LogRead> {
    const last = part.messages.at(-1)?.seq;
    if (config.mayTrain && part.region !== config.region && last !== undefined) {
      await copyStream(stream, { stream: "LOG", from: part.region, to: config.region, last, deadline });
    }
    return part;
  }

  function deadline(ms: number): AbortSignal {
    return context.deadline(ms);
  }

  return async ({ log, knowsOwn }) => {
    const fromSeq = log.applied + 1;
    if (knowsOwn) return keep(await read(logHome(log, config.training), { fromSeq, waitMs: READ_WAIT_MS }));
    const own = await read(config.region, { fromSeq, waitMs: 0 });
    if (own.messages.length > 0 || log.applied > 0) return own;
    const others = config.full.filter((region) => region !== config.region);
    const parts = await Promise.all(others.map((region) => read(region, { fromSeq: 1, waitMs: 0 })));
    const [longest] = parts.toSorted((left, right) => right.lastSeq - left.lastSeq);
    return longest === undefined || longest.lastSeq === 0 ? own : keep(longest);
  };
}

const ASK_MS = 10_000;
const READ_WAIT_MS = 5_000;
const READ_MAX = 100;

/** Whether the log's membership is what the config says; where it differs, the config of the training region is the newer word. */
function sameMembership({ membership }: RegionLogState, config: StateManagerConfig): boolean {
  return (
    membership !== undefined &&
    membership.training === config.training &&
    membership.regions.join(" ") === config.regions.join(" ")
  );
}

/** What the config says and the log does not: which region trains, and who is a member. Whom the log retired stays so. */
export function unsaid(
  log: RegionLogState,
  { config, atMs }: { readonly config: StateManagerConfig; readonly atMs: number },
): LogEntry[] {
  const { regions, training, nodes } = config;
  return [
    ...(sameMembership(log, config) ? [] : [{ kind: "membership", atMs, regions, training } as const]),
    ...nodes
      .filter((each) => !log.members.has(memberName(each)))
      .map(({ region, node }) => ({ kind: "member", atMs, act: "add", region, node }) as const),
  ];
}
