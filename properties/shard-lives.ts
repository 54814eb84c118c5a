/*
 * A shard and its node's poller as two actors: each has a mailbox in order, and each starts again without the other. What the shard holds of its
 * peers is a counter each, and its image is what it held when it was saved.
 */
import { type PollEffect, type PollEvent } from "../protocols/sync/poll.ts";
import { type WriterId } from "../protocols/sync/version.ts";

/** What a shard hears from its poller. */
export type ToShard = Extract<PollEffect, { kind: "pull" | "give-up" }>;

/** What becomes of messages that are on their way when an end starts again: they are lost, come first, or come after what the new start says. */
export type OnTheWay = "lost" | "first" | "late";

interface OpenPull {
  readonly pullId: string;
  readonly peer: string;
  /** What the peer had when the pull began, which is the worst moment for it. */
  readonly counter: number;
}

export class ShardOfAsker {
  readonly shard: string;
  /** Peer -> what is held of it. */
  held = new Map<string, number>();
  toShard: ToShard[] = [];
  toPoller: PollEvent[] = [];
  #image = new Map<string, number>();
  #pull: OpenPull | undefined;
  #life = 1;
  readonly #generator: WriterId;

  constructor(shard: string, generator: WriterId) {
    this.shard = shard;
    this.#generator = generator;
  }

  /** The id of the pull that runs. */
  get pulls(): string | undefined {
    return this.#pull?.pullId;
  }

  save(): void {
    this.#image = new Map(this.held);
  }

  /** From its image, with no pull that runs. */
  start(onTheWay: OnTheWay): void {
    this.held = new Map(this.#image);
    this.#pull = undefined;
    this.#life += 1;
    const said = this.toPoller;
    if (onTheWay === "lost") this.toShard = [];
    this.toPoller = onTheWay === "first" ? said : [];
    this.announce();
    if (onTheWay === "late") this.toPoller.push(...said);
  }

  /** Says which version it has, and in which life. No version of it covers one of its peers. */
  announce(): void {
    const version = { counter: 1, generator: this.#generator };
    this.toPoller.push({ kind: "changed", shard: this.shard, version, life: `l${this.#life}` });
  }

  /** Takes the next message of its poller; `counterOf` says what a peer has now. */
  take(counterOf: (peer: string) => number): void {
    const told = this.toShard.shift();
    if (told?.kind === "give-up" && told.pullId === this.#pull?.pullId) this.end(true);
    if (told?.kind !== "pull") return;
    const { pullId, peer } = told;
    if (this.#pull === undefined) this.#pull = { pullId, peer, counter: counterOf(peer) };
    else this.toPoller.push({ kind: "pulled", shard: this.shard, pullId, outcome: "failed" });
  }

  /** Its pull ends. */
  end(fails: boolean): void {
    if (this.#pull === undefined) return;
    const { pullId, peer, counter } = this.#pull;
    this.#pull = undefined;
    if (!fails) this.held.set(peer, counter);
    this.toPoller.push({ kind: "pulled", shard: this.shard, pullId, outcome: fails ? "failed" : "complete" });
  }
}
