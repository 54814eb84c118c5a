import { type ConnectionOptions } from "@nats-io/transport-node";
import { type Clock } from "../clock.ts";

type Handlers = Pick<ConnectionOptions, "reconnectDelayHandler" | "reconnectToServer">;

/** Between two attempts to connect again after it was disconnected: so long at least, and three times that at most. */
const REDIAL_MS = 250;
/** The same where it is refused again and again. */
const REFUSED_MS_MAX = 5_000;

/**
 * When a client dials again that was disconnected: soon, as a link that is back is to be used, but ever more seldom while it is refused. The client goes by the
 * wall clock, and where that was set back it would not dial until the time at which it last did has come again.
 */
export class Redial {
  readonly #clock: Clock;
  #nextMs: number;
  #refusals = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nextMs = clock.upMs();
  }

  /** What the client asks. */
  get handlers(): Handlers {
    return {
      // By its own count it never waits.
      reconnectDelayHandler: () => -Infinity,
      reconnectToServer: ([server]) => (server === undefined ? null : { server, delay: this.#delay() }),
    };
  }

  /** The server took us: whatever it refused is over. */
  connected(): void {
    this.#refusals = 0;
  }

  /** The server refused us; tells whether it is the first time since it took us. */
  refused(): boolean {
    this.#refusals += 1;
    return this.#refusals === 1;
  }

  #delay(): number {
    const nowMs = this.#clock.upMs();
    const delay = Math.max(0, this.#nextMs - nowMs);
    const pauseMs = Math.min(REFUSED_MS_MAX, REDIAL_MS * 2 ** Math.min(this.#refusals, 5));
    this.#nextMs = nowMs + delay + pauseMs * (1 + 2 * Math.random());
    return delay;
  }
}
