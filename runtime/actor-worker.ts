import { expose } from "comlink";
import { parentPort, workerData } from "node:worker_threads";
import { ActorHost, ActorRefused } from "./actor-host.ts";
import { type Address } from "./actor.ts";
import { type GatewayFactory } from "./gateway.ts";
import { probePermissions } from "./probe.ts";
import { failureOf } from "./supervisor.ts";
import { portTransport } from "./transport/port.ts";
import { addressKey } from "./transport/transport.ts";
import { type Attempt, type WorkerControl, type WorkerNews, type WorkerSetup } from "./worker-protocol.ts";

// Only the supervisor starts this module, with a WorkerSetup.
// oxlint-disable-next-line typescript/no-unsafe-assignment
const setup: WorkerSetup = workerData;

function say(news: WorkerNews): void {
  parentPort?.postMessage(news);
}

const host = new ActorHost({
  region: setup.region,
  thread: setup.name,
  level: setup.level,
  inspect: setup.inspect,
  sink: (line) => say({ kind: "log", line }),
  onFailure: (report) => say({ kind: "failure", report }),
});

async function load(module: string, name: string): Promise<unknown> {
  const loaded: unknown = await import(module);
  if (typeof loaded === "object" && loaded !== null) {
    const found = new Map<string, unknown>(Object.entries(loaded)).get(name);
    if (found !== undefined) return found;
  }
  throw new ActorRefused(name, `${module} exports nothing of that name`);
}

function isFactory(value: unknown): value is GatewayFactory {
  return typeof value === "function";
}

async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { kind: "done", value: await work() };
  } catch (error) {
    return {
      kind: "failed",
      failure: failureOf(error, Date.now()),
      stack: error instanceof Error ? (error.stack ?? "").slice(0, 4000) : "",
    };
  }
}

const control: WorkerControl = {
  connect(name, port) {
    host.router.addPeer(name, portTransport(port, { drop: host.router.drop }));
  },
  declare: (specs, gateway) =>
    attempt(async () => {
      const addresses: Address[] = [];
      if (gateway !== undefined) {
        const factory = await load(gateway.module, gateway.export);
        if (!isFactory(factory)) throw new ActorRefused(gateway.export, "it is no function that makes a gateway");
        addresses.push(...(await host.openGateway(factory, gateway.config)));
      }
      for (const spec of specs) {
        addresses.push(host.declare({ ...spec, definition: await load(spec.module, spec.export) }));
      }
      return addresses;
    }),
  start: () =>
    attempt(async () => {
      await host.start();
      return undefined;
    }),
  locate(actors, gatewayThread) {
    host.router.setLocations(
      new Map(actors.map(({ address, worker }) => [addressKey(address), worker])),
      gatewayThread,
    );
    host.gateway?.located(actors);
  },
  stopActor: (address, deadlineMs) => host.stopActor(address, deadlineMs),
  stop: (deadlineMs) => host.stop(deadlineMs),
  metrics: () => host.metrics.snapshot(),
  health: () => ({
    actors: host.health(),
    heapUsedBytes: process.memoryUsage().heapUsed,
    asksWaiting: host.router.waiting,
  }),
  ping: () => undefined,
};

try {
  await probePermissions(setup.permissions, setup.canaries);
  expose(control, setup.control);
  setup.control.start();
  say({ kind: "ready" });
} catch (error) {
  say({ kind: "refused", failure: failureOf(error, Date.now()) });
  throw error;
}
