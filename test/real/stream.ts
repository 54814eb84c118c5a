import { setTimeout as delay } from "node:timers/promises";
import { Posting } from "../crash-posting.ts";
import { type SampleLog } from "../crash-samples.ts";
import { CrashStream } from "../crash-stream.ts";
import { type RowName } from "./ask-actor.ts";
import { rowName } from "./watch.ts";
import { REGIONS, type RealWorld } from "./world.ts";

const LOOK_MS = 200;
/** So many looks make a round of the stream: twelve impressions. */
const LOOKS_A_ROUND = 4;
/** Posts on their way above which no more is shown: a region that is away must not be flooded when it is back. */
const OPEN_MAX = 60;
const RECENT = 6;
/** An answer about an event's time, which is right where the node's clock is not. */
const ABOUT_TIME = "minute in the future";

/** A small steady stream of impressions and clicks to all nodes of all regions, each sent until it is acknowledged. */
export class RealStream implements AsyncDisposable {
  readonly events: CrashStream;
  readonly posting: Posting;
  readonly #log: SampleLog;
  readonly #over = new AbortController();
  readonly #running: Promise<void>;
  #isPaused = false;

  constructor(world: RealWorld, options: { readonly seed: number; readonly log: SampleLog }) {
    this.#log = options.log;
    this.events = new CrashStream({ seed: options.seed, regions: REGIONS });
    let turn = 0;
    // As a load balancer before a region's nodes: what one does not take, the next may.
    const urls = {
      get: (region: string) => {
        const nodes = world.nodes.filter((node) => node.region === region);
        return nodes[turn++ % nodes.length]?.url;
      },
    };
    this.posting = new Posting(urls, { mayRefuse: (answer) => answer.includes(ABOUT_TIME) });
    this.#running = this.#run();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Ends it: what was still to be clicked is clicked now. */
  async finish(): Promise<void> {
    this.#over.abort();
    await this.#running;
    for (const post of this.events.due(Date.now(), { all: true })) this.posting.send(post);
  }

  /** Rows that were written lately. */
  recent(): RowName[] {
    return [...this.events.shown.values()]
      .slice(-RECENT)
      .flatMap(({ user, item }) => [rowName("catalogue", item), rowName("items", item), rowName("users", user)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#running;
    await this.posting[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    for (let look = 0; !signal.aborted; look += 1) {
      if (!this.#isPaused) {
        const isTime = look % LOOKS_A_ROUND === 0 && this.posting.open < OPEN_MAX;
        if (isTime) for (const post of this.events.round(Date.now())) this.posting.send(post);
        for (const post of this.events.due(Date.now(), { all: false })) this.posting.send(post);
      }
      await this.#log.read();
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined); // woken by the end
    }
  }
}
