import { type MessagePort } from "node:worker_threads";
import { type ActorHealth, type FailureReport } from "./actor-cell.ts";
import { type Address } from "./actor.ts";
import { type Located } from "./gateway.ts";
import { type LogLevel, type LogLine } from "./log.ts";
import { type Series } from "./metrics.ts";
import { type Permissions } from "./permissions.ts";
import { type Canary } from "./probe.ts";
import { type Failure, type RestartPolicy } from "./supervisor.ts";

/** An actor to start in a worker: a module's named export, and data. */
export interface ActorSpec {
  readonly module: URL;
  readonly export: string;
  readonly id: string;
  readonly config: unknown;
  readonly mailboxMax?: number;
  readonly restart?: RestartPolicy;
}

/** A spec as it crosses threads: URLs do not. */
export type WireSpec = Omit<ActorSpec, "module"> & { readonly module: string };

export interface GatewaySpec {
  readonly module: URL;
  readonly export: string;
  readonly config: unknown;
}

/** What the supervisor hands to a new worker. */
export interface WorkerSetup {
  readonly name: string;
  readonly region: string;
  readonly level: LogLevel;
  readonly inspect: boolean;
  readonly permissions: Permissions;
  readonly canaries: readonly Canary[];
  readonly control: MessagePort;
}

/** What a worker says of its own accord. */
export type WorkerNews =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "log"; readonly line: LogLine }
  | { readonly kind: "failure"; readonly report: FailureReport };

/** Errors cross as data, because comlink would leave only their text. */
export type Attempt<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "failed"; readonly failure: Failure; readonly stack: string };

export interface ThreadHealth {
  readonly actors: readonly ActorHealth[];
  readonly heapUsedBytes: number;
  /** Asks of this thread that wait for an answer from elsewhere. */
  readonly asksWaiting: number;
}

/** What the supervisor may call, over comlink, and nobody else. */
export interface WorkerControl {
  connect(name: string, port: MessagePort): void;
  /** Loads modules and opens mailboxes; nothing runs yet. */
  declare(
    specs: readonly WireSpec[],
    gateway: (Omit<GatewaySpec, "module"> & { readonly module: string }) | undefined,
  ): Promise<Attempt<readonly Address[]>>;
  start(): Promise<Attempt<undefined>>;
  locate(actors: readonly Located[], gatewayThread: string | undefined): void;
  stopActor(address: Address, deadlineMs: number): Promise<void>;
  stop(deadlineMs: number): Promise<void>;
  metrics(): Series[];
  health(): ThreadHealth;
  ping(): void;
}
