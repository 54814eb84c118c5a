/*
 * Promotions among the faults, and who trains: as it must be by what was decided, and as all nodes say once all runs again.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type NatsConnection } from "@nats-io/transport-node";
import { type SampleLog } from "../crash-samples.ts";
import { type Harm } from "./fault-plan.ts";
import { type Judgement } from "./judgement.ts";
import { type RealNode, type Training } from "./real-node.ts";
import { REGIONS, type RealWorld, TRAINING } from "./world.ts";

type Promotion = Harm & { readonly kind: "promote" | "force" };

const LOOK_MS = 300;
/** Who would not train after so long never will. */
const AGREED_MS = 60_000;

/** How the question who trains was answered after a round. */
export type Agreement = { readonly afterMs: number } | { readonly why: string };

interface LeadOptions {
  /** Reads on where training goes. */
  readonly log: SampleLog;
  readonly judgement: Judgement;
  readonly say: (line: string) => void;
}

/** Who leads the training of a world. */
export class Lead {
  /** Promotions that came to their end, by kind. */
  readonly done = { promote: 0, force: 0 };
  /** The region that trains, as all agreed last or as was decided since. */
  region = TRAINING;
  readonly #world: RealWorld;
  readonly #of: LeadOptions;
  /** Where it was asked to go since all agreed last: what came of it may be unknown. */
  #asked: Promotion | undefined;
  /** That was decided. */
  #isDecided = false;
  #samplesOf = TRAINING;

  constructor(world: RealWorld, of: LeadOptions) {
    this.#world = world;
    this.#of = of;
  }

  /** A promotion to the region that trains becomes one to the next. */
  aim(harm: Harm): Harm {
    if (!("region" in harm) || harm.region !== this.region) return harm;
    return { ...harm, region: REGIONS[(REGIONS.indexOf(harm.region) + 1) % REGIONS.length] ?? "" };
  }

  /** Links that a promotion by force cuts. */
  isCut({ from, to }: { readonly from: string; readonly to: string }): boolean {
    return from === this.region || to === this.region;
  }

  /** Asks for a promotion again and again until it is decided or the signal fires, and waits for it as long. One at a time. */
  async move(harm: Promotion, signal: AbortSignal): Promise<void> {
    const { judgement, say } = this.#of;
    if (this.#asked !== undefined) {
      say(`  no promotion while another may be under way`);
      return;
    }
    this.#asked = harm;
    const { region } = harm;
    const force = harm.kind === "force";
    const to = this.#primary(region);
    const asked = force ? to : this.#primary(this.region);
    if (force) judgement.forced(to.name);
    let told = "";
    while (!signal.aborted) {
      const answer = await asked.promote(region, { force, signal });
      if (answer === "decided") {
        this.#isDecided = true;
        say(`  ${asked.name} decides that ${region} trains${force ? ", by force" : ""}`);
        break;
      }
      if (answer.why !== told) say(`  ${asked.name}: ${(told = answer.why)}`);
      await pass(LOOK_MS, signal);
    }
    while (this.#isDecided && !signal.aborted) {
      if (trains(region, await to.training())) {
        await this.#takeSamples(region);
        return;
      }
      await pass(LOOK_MS, signal);
    }
  }

  /** Waits until all nodes know one region that trains, the one that must, and only nodes of it do. */
  async settle(signal: AbortSignal): Promise<Agreement | undefined> {
    const begun = performance.now();
    for (;;) {
      const why = await this.#lacking();
      if (signal.aborted) return undefined;
      const afterMs = performance.now() - begun;
      if (why === undefined) {
        await this.#takeSamples(this.region);
        return { afterMs };
      }
      if (afterMs > AGREED_MS) return { why };
      await pass(LOOK_MS, signal);
    }
  }

  /** What is missing yet, in words. With nothing missing a promotion has come to its end. */
  async #lacking(): Promise<string | undefined> {
    const found = await Promise.all(
      this.#world.nodes.map(async (node) => ({
        node,
        training: await node.training(),
        role: (await node.status())?.role,
      })),
    );
    const said = found
      .map(({ node, training, role }) => `${node.name} (${role ?? "silent"}): ${JSON.stringify(training)}`)
      .join("; ");
    const [first] = found;
    const region = first?.training?.training;
    if (region === undefined || found.some(({ training }) => !trains(region, training))) return said;
    if (new Set(found.map(({ training }) => training?.term)).size !== 1) return said;
    const trainers = found.filter(({ role }) => role === "training");
    if (trainers.length === 0 || trainers.some(({ node }) => node.region !== region)) return said;
    const asked = this.#asked;
    const may = asked === undefined ? [this.region] : this.#isDecided ? [asked.region] : [asked.region, this.region];
    if (!may.includes(region)) return `${may.join(" or ")} must train, and all say that ${region} does`;
    if (asked !== undefined) this.#of.say(`  ${region} trains, and all know`);
    if (asked?.region === region) this.done[asked.kind] += 1;
    this.region = region;
    this.#asked = undefined;
    this.#isDecided = false;
    return undefined;
  }

  /** Samples are read where they are made. */
  async #takeSamples(region: string): Promise<void> {
    if (this.#samplesOf === region) return;
    this.#samplesOf = region;
    await this.#of.log.goOn(connectionOf(this.#world.readers, region));
  }

  #primary(region: string): RealNode {
    const node = this.#world.nodes.find((each) => each.region === region && each.node === "a");
    if (node === undefined) throw new RangeError(`Cannot promote ${region}: it has no node "a"`);
    return node;
  }
}

/** The connection to a region's server. */
export function connectionOf(connections: ReadonlyMap<string, NatsConnection>, region: string): NatsConnection {
  const nc = connections.get(region);
  if (nc === undefined) throw new TypeError(`Cannot ask ${region}: there is no connection`);
  return nc;
}

function trains(region: string, known: Training | undefined): boolean {
  return known?.training === region && known.next === undefined;
}

async function pass(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined); // woken by the end
}
