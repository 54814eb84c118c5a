import { type Service, Svcm } from "@nats-io/services";
import { type NatsConnection } from "@nats-io/transport-node";
import { type Address, defineActor, Refused } from "./actor.ts";
import { type Gateway, type GatewayHost, type Located } from "./gateway.ts";
import { type HostedSpec } from "./actor-host.ts";
import { type BucketDeclaration, type StreamDeclaration } from "./jetstream-declare.ts";
import { streamActor } from "./jetstream.ts";
import { type LinkProtocol, type LinkStatus } from "./link-protocol.ts";
import { type NatsLinkConnection } from "./transport/nats-connection.ts";
import { type NatsServerOptions } from "./transport/nats-server-options.ts";
import { natsTransport, type NatsTransport, type PeerOptions } from "./transport/nats.ts";
import { addressKey } from "./transport/transport.ts";

export interface LinkConfig {
  readonly region: string;
  readonly node: string;
  /** The program's version, told to service discovery: three numbers. */
  readonly version?: string;
  readonly own: NatsServerOptions;
  readonly peers: readonly PeerOptions[];
  readonly streams?: readonly StreamDeclaration[];
  readonly buckets?: readonly BucketDeclaration[];
}

/** The gateway of a region node: all its connections, the actor that controls them and the one that keeps streams. Named in a worker's `gateway`. */
export async function openLink(untyped: unknown, host: GatewayHost): Promise<Gateway> {
  const config = linkConfig(untyped);
  const { region, node, peers, own, streams = [], buckets = [] } = config;
  const transport = natsTransport({
    region,
    node,
    own,
    peers,
    log: host.log,
    metrics: host.metrics,
    clock: host.clock,
    drop: host.drop,
  });
  const services = discovery(transport, config, host);
  const actors: HostedSpec[] = [
    { definition: linkActor(transport), id: node, config: undefined },
    { definition: streamActor(transport.connections, { region, streams, buckets }), id: node, config: undefined },
  ];
  return { ...transport, actors, located: services.located, [Symbol.asyncDispose]: () => transport.close() };
}

/** The one place where the config, which comes from the process's own composition, gets its type back. */
function linkConfig(untyped: unknown): LinkConfig {
  if (!isLinkConfig(untyped)) throw new TypeError("Cannot open the link: its config lacks region, node, own or peers");
  return untyped;
}

function isLinkConfig(value: unknown): value is LinkConfig {
  return (
    typeof value === "object" &&
    value !== null &&
    "region" in value &&
    "node" in value &&
    "own" in value &&
    "peers" in value &&
    Array.isArray(value.peers)
  );
}

/** Keeps a subscription per actor: on the own server as a service that `nats micro` lists and counts, on the peers' plainly. */
function discovery(
  transport: NatsTransport,
  { region, node, version = "0.1.0" }: LinkConfig,
  { log }: GatewayHost,
): Pick<Gateway, "located"> {
  const listening = new Map<string, Located>();
  const services = new Map<string, Service>();
  const own = transport.connections.get(region);

  async function register(nc: NatsConnection, { address, worker }: Located): Promise<void> {
    const key = addressKey(address);
    try {
      // No queue: there is one actor at an address, and where there should be two, both being heard shows it.
      const service = await new Svcm(nc).add({
        name: address.kind,
        version,
        queue: "",
        description: `${address.kind} ${address.id} of ${region}`,
        metadata: { id: address.id, region, node, worker },
      });
      const gone = !listening.has(key);
      if (gone) await service.stop();
      else {
        services.set(key, service);
        service.addEndpoint("messages", {
          subject: transport.subscription(address),
          handler: (error, msg) => (error === null ? transport.receive(msg) : undefined),
        });
      }
    } catch (error) {
      log.warn("cannot register an actor for discovery", { actor: key, error });
    }
  }

  let lastConnection: NatsConnection | undefined;
  own?.onUp((nc) => {
    // A reconnection keeps its subscriptions; a new connection has none.
    if (nc === lastConnection) return;
    lastConnection = nc;
    services.clear();
    for (const located of listening.values()) void register(nc, located);
  });

  function follow(actors: readonly Located[]): void {
    const wanted = new Map(actors.map((one) => [addressKey(one.address), one]));
    for (const [key, { address }] of listening) {
      if (wanted.has(key)) continue;
      listening.delete(key);
      transport.unlisten(address);
      void services.get(key)?.stop();
      services.delete(key);
    }
    for (const [key, one] of wanted) {
      if (listening.has(key)) continue;
      listening.set(key, one);
      transport.listen(one.address, { peersOnly: true });
      if (lastConnection !== undefined && !lastConnection.isClosed()) void register(lastConnection, one);
    }
  }
  return { located: follow };
}

function linkActor(transport: NatsTransport): unknown {
  function find(peer: string): NatsLinkConnection {
    const connection = transport.connections.get(peer);
    if (connection === undefined) {
      throw new Refused(`there is no link to '${peer}', only to ${[...transport.connections.keys()].join(", ")}`);
    }
    return connection;
  }
  return defineActor<LinkProtocol, undefined>({
    kind: "link",
    messages: ["cut", "heal", "links"],
    fromElsewhere: ["links"],
    setup: () => ({
      handlers: {
        async cut({ peer }) {
          const connection = find(peer);
          const was = connection.state;
          await connection.cut();
          return { was };
        },
        heal({ peer }) {
          const connection = find(peer);
          const was = connection.state;
          connection.heal();
          return { was };
        },
        links: () => [...transport.connections.values()].map(statusOf),
      },
    }),
  });
}

function statusOf(connection: NatsLinkConnection): LinkStatus {
  const { rttMs, peer, state } = connection;
  const stats = connection.live?.stats();
  return {
    peer,
    state,
    bytesIn: stats?.inBytes ?? 0,
    bytesOut: stats?.outBytes ?? 0,
    ...(rttMs === undefined ? {} : { rttMs }),
  };
}

/** The address of a node's link actor. */
export function linkAddress(region: string, node: string): Address {
  return { region, kind: "link", id: node };
}
