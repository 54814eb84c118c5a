import { type Address, type Logger, type Metrics } from "./actor.ts";
import { type HostedSpec } from "./actor-host.ts";
import { type Clock } from "./clock.ts";
import { type DropCounter, type Transport } from "./transport/transport.ts";

/** An actor of this process and the worker that hosts it. */
export interface Located {
  readonly address: Address;
  readonly worker: string;
}

/** The transport by which messages leave and enter the process. Lives in one worker, which alone may hold sockets. */
export interface Gateway extends Transport {
  /** All actors of this process, again after each change: what others may send to. */
  located(actors: readonly Located[]): void;
  /** Actors that need what the gateway holds; hosted beside it. */
  readonly actors: readonly HostedSpec[];
}

/** What a gateway is given. */
export interface GatewayHost {
  readonly region: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly drop: DropCounter;
}

/** The export that a worker's `gateway` names. */
export type GatewayFactory = (config: unknown, host: GatewayHost) => Promise<Gateway>;
