import { shard } from "../actors/shard.ts";
import { type ShardConfig } from "../actors/shard-config.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { fileStore } from "../runtime/file-store.ts";
import { type LogLine } from "../runtime/log.ts";
import { REGION } from "./snapshot-model.ts";

interface StartedShard extends AsyncDisposable {
  readonly shard: ActorRef<ShardProtocol>;
  readonly lines: readonly LogLine[];
}

/** A shard on this thread that trains, with its images in a folder. It writes one when it is stopped. */
export async function startShard(folder: string, config: ShardConfig): Promise<StartedShard> {
  const lines: LogLine[] = [];
  const host = new ActorHost({
    region: REGION,
    thread: "main",
    sink: (line) => lines.push(line),
    onFailure: () => undefined,
  });
  host.declare({ definition: fileStore, id: "a", config: { folder } });
  const address = host.declare({ definition: shard, id: `${config.name}-a`, config });
  try {
    await host.start();
  } catch (error) {
    await host.stop(1_000);
    throw error;
  }
  const ref = host.ref<ShardProtocol>(address);
  ref.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  return { shard: ref, lines, [Symbol.asyncDispose]: () => host.stop(20_000) };
}
