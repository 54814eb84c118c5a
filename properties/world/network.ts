import { mixUint32, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Knobs } from "./knobs.ts";

/** A message on its way. Control messages are text, as they are on a real wire; frames are bytes. */
export interface Envelope {
  readonly from: number;
  readonly to: number;
  /** Undefined for messages between pollers. */
  readonly shard: number | undefined;
  readonly message: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  /**
   * What the sender gave. In a run without checkers it goes to the receiver as it is: if anybody relied on a copy, or on what a text
   * leaves out, that history would differ from the one in which texts were read.
   */
  readonly sent: unknown;
  /** A bit was flipped on the way. */
  readonly damaged: boolean;
}

/** As the actor that it is for is given it. */
export function bodyOf({ body }: Envelope): unknown {
  return typeof body === "string" ? JSON.parse(body) : body;
}

/** A directed link. */
interface Link {
  cut: boolean;
  /** What is sent before this arrives after it. */
  cloggedUntilMs: number;
  /** When the link has carried all that was given to it. */
  busyUntilMs: number;
  lastArrivalMs: number;
}

/** All links between some nodes, and what is wrong with them. */
export class Network {
  healed = false;
  readonly #knobs: Knobs;
  readonly #random: Random;
  readonly #count: (what: string) => void;
  readonly #links: readonly Link[];
  #lossRate: number;

  constructor(knobs: Knobs, { random, count }: { random: Random; count: (what: string) => void }) {
    this.#knobs = knobs;
    this.#random = random;
    this.#count = count;
    this.#lossRate = knobs.lossRate;
    this.#links = Array.from({ length: knobs.nodes ** 2 }, () => ({
      cut: false,
      cloggedUntilMs: 0,
      busyUntilMs: 0,
      lastArrivalMs: 0,
    }));
  }

  /** When the copies of a message arrive: none when it is lost, two when it is repeated. */
  deliveries(envelope: Envelope, nowMs: number): { delayMs: number; envelope: Envelope }[] {
    const { duplicateRate, corruptRate } = this.#knobs;
    const random = this.#random;
    const link = this.#link(envelope.from, envelope.to);
    if (link.cut || (this.#lossRate > 0 && nextFloat(random) < this.#lossRate)) {
      this.#count(envelope.message === "frame" ? "frame lost" : "message lost");
      return [];
    }
    if (this.healed) return [{ delayMs: this.#delayMs(), envelope }];
    const copies = nextFloat(random) < duplicateRate ? 2 : 1;
    if (copies === 2) this.#count(envelope.message === "pull" ? "pull repeated by the net" : "message repeated");
    const deliveries: { delayMs: number; envelope: Envelope }[] = [];
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = this.#throughLink(link, { bytes: envelope.body.length, nowMs });
      deliveries.push({ delayMs, envelope: nextFloat(random) < corruptRate ? corrupt(envelope, random) : envelope });
    }
    return deliveries;
  }

  /** Cuts or mends some links: one direction, one node, halves, halves with a bridge, all but a ring, or whatever comes. */
  changeCuts(): void {
    const random = this.#random;
    const { nodes } = this.#knobs;
    const mend = nextFloat(random);
    if (mend < 0.4) {
      this.#eachLink((link) => (link.cut = false));
      this.#count("all cuts mended");
      return;
    }
    const one = nextBelow(random, nodes);
    const other = nextBelow(random, nodes);
    if (mend < 0.5) {
      // A node comes back while the others stay cut.
      this.#eachLink((link, from, to) => (link.cut &&= from !== one && to !== one));
      this.#count("cuts of one node mended");
      return;
    }
    const shapes: readonly (readonly [what: string, isCut: (from: number, to: number) => boolean])[] = [
      ["cut one way", (from, to) => from === one && to === other],
      ["cut one node", (from, to) => (from === one) !== (to === one)],
      ["cut in halves", (from, to) => from <= one !== to <= one],
      ["cut to a bridge", (from, to) => from !== other && to !== other && from <= one !== to <= one],
      ["cut to a ring", (from, to) => (from + 1) % nodes !== to && (to + 1) % nodes !== from],
      ["cut at random", () => nextFloat(random) < 0.5],
    ];
    const [what, isCut] = shapes[nextBelow(random, shapes.length)] ?? ["", () => false];
    this.#eachLink((link, from, to) => (link.cut ||= isCut(from, to)));
    this.#count(what);
  }

  /** A link holds all that is sent for a while. */
  clog(nowMs: number): void {
    const { nodes } = this.#knobs;
    const link = this.#link(nextBelow(this.#random, nodes), nextBelow(this.#random, nodes));
    link.cloggedUntilMs = nowMs + nextFloat(this.#random) * 5_000;
    this.#count("link clogged");
  }

  /** Everything works from now on, apart from what lasts. */
  heal(): void {
    const { lasting, nodes, lossRate } = this.#knobs;
    this.healed = true;
    this.#lossRate = lasting === "loss" ? lossRate : 0;
    this.#eachLink((link) => (link.cut = false));
    if (lasting === "nothing") return;
    this.#count(`lasting ${lasting}`);
    if (lasting !== "cut") return;
    // Full replicas never pull from a serving one, which therefore is no way round; nor is a node that pulls from nobody.
    const one = nextBelow(this.#random, nodes);
    const other = (one + 1) % nodes;
    if (this.#knobs.aloof && nodes === 3) return;
    if (this.#knobs.serving && (nodes === 3 || one === nodes - 1 || other === nodes - 1)) return;
    this.#link(one, other).cut = true;
    if (nextFloat(this.#random) < 0.5) this.#link(other, one).cut = true;
  }

  #throughLink(link: Link, { bytes, nowMs }: { bytes: number; nowMs: number }): number {
    const { bytesPerSecond, inOrder } = this.#knobs;
    let sentMs = Math.max(nowMs, link.cloggedUntilMs);
    if (bytesPerSecond > 0) {
      // A queue of more than four seconds is dropped at its end, as a slow consumer's is: what is late is not later still.
      sentMs = Math.max(sentMs, Math.min(link.busyUntilMs, nowMs + 4_000)) + (bytes / bytesPerSecond) * 1000;
      link.busyUntilMs = sentMs;
    }
    // A late copy may be very late: beyond the answer it belongs to, or its receiver's life.
    const isVeryLate = !this.#knobs.calm && nextFloat(this.#random) < 0.05;
    let atMs = sentMs + this.#delayMs() * (isVeryLate ? 40 : 1);
    if (inOrder) atMs = link.lastArrivalMs = Math.max(atMs, link.lastArrivalMs);
    return atMs - nowMs;
  }

  #delayMs(): number {
    const chance = 1 - nextFloat(this.#random);
    const { delayMs, heavyTail } = this.#knobs;
    if (heavyTail && !this.healed) return Math.min(60_000, delayMs * 0.4 * chance ** -0.9);
    return delayMs * (0.3 - Math.log(chance));
  }

  #eachLink(change: (link: Link, from: number, to: number) => void): void {
    const { nodes } = this.#knobs;
    this.#links.forEach((link, at) => change(link, Math.floor(at / nodes), at % nodes));
  }

  #link(from: number, to: number): Link {
    const link = this.#links[from * this.#knobs.nodes + to];
    if (link === undefined) throw new RangeError(`Cannot find the link from ${from} to ${to}: there is none`);
    return link;
  }
}

/** A number that differs when the message does. */
export function hashEnvelope(hash: number, { from, to, shard = -1, message, body }: Envelope): number {
  let mixed = mixUint32(mixUint32(hash, from * 64 + to), shard * 256 + message.length);
  if (typeof body === "string") {
    for (let at = 0; at < body.length; at += 1) mixed = (Math.imul(mixed, 31) + body.charCodeAt(at)) | 0;
  } else {
    for (let at = 0; at < body.length; at += 1) mixed = (Math.imul(mixed, 31) + (body[at] ?? 0)) | 0;
  }
  return mixed >>> 0;
}

function corrupt(envelope: Envelope, random: Random): Envelope {
  if (typeof envelope.body === "string" || envelope.body.length === 0) return envelope;
  const body = envelope.body.slice();
  const at = nextBelow(random, body.length);
  body[at] = (body[at] ?? 0) ^ (1 << nextBelow(random, 8));
  return { ...envelope, body, sent: body, damaged: true };
}
