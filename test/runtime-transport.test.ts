import { MessageChannel } from "node:worker_threads";
import { systemClock, virtualClock } from "../runtime/clock.ts";
import { createMetrics } from "../runtime/metrics.ts";
import { memoryNetwork } from "../runtime/transport/memory.ts";
import { natsTransport, type NatsTransport } from "../runtime/transport/nats.ts";
import { portTransport } from "../runtime/transport/port.ts";
import { startTestNats } from "./real-nats.ts";
import { checkTransport } from "./transport-conformance.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

checkTransport("memory", async ({ drop, tight = false }) => {
  const clock = virtualClock();
  const network = memoryNetwork({ seed: 1, clock, drop, ...(tight ? { inFlightMax: 50 } : {}) });
  return {
    left: network.join("left"),
    right: network.join("right"),
    pass: () => clock.advance(10),
    async [Symbol.asyncDispose]() {},
  };
});

checkTransport("port", async ({ drop, tight = false }) => {
  const { port1, port2 } = new MessageChannel();
  const options = { drop, ...(tight ? { inFlightMax: 100 } : {}) };
  return {
    left: portTransport(port1, options),
    right: portTransport(port2, options),
    pass: () => undefined,
    async [Symbol.asyncDispose]() {
      port1.close();
      port2.close();
    },
  };
});

checkTransport("nats", async ({ drop, tight = false }) => {
  const stack = new AsyncDisposableStack();
  const left = stack.use(await startTestNats({ name: "left", jetStream: false }));
  const right = stack.use(await startTestNats({ name: "right", jetStream: false }));
  const urls = { left: left.url, right: right.url };
  function open(region: "left" | "right", peer: "left" | "right"): NatsTransport {
    const common = {
      log: quiet,
      metrics: createMetrics(),
      clock: systemClock,
      drop,
      ...(tight ? { bytesInFlightMax: 256 * 1024 } : {}),
    };
    return stack.use(
      natsTransport({
        ...common,
        region,
        node: "a",
        own: { url: urls[region] },
        peers: [{ region: peer, url: urls[peer] }],
      }),
    );
  }
  const ends = { left: open("left", "right"), right: open("right", "left") };
  return {
    ...ends,
    payloadMaxBytes: 1024 * 1024,
    pass: () => undefined,
    listen: (address) => ends.right.listen(address),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});
