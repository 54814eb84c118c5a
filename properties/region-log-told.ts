/* What the node of the simulated region log tells its actors: over all its starts it never goes back, whatever becomes of its region's LOG. */
import assert from "node:assert/strict";
import { type Role } from "../protocols/model-state/role.ts";

/** What of a role only goes on. */
interface Moment extends Pick<Role, "epoch" | "term"> {
  /** The promotion of the term. */
  readonly isOver: boolean;
}

export class ToldRoles {
  #latest: Moment = { epoch: 0, term: 0, isOver: true };
  #last: Moment | undefined;
  #wentBack: string | undefined;

  /** A message to an actor that is told of roles. */
  hear(body: unknown): void {
    if (!isRole(body)) return;
    const told = momentOf(body);
    if (isBefore(told, this.#latest)) {
      this.#wentBack ??= `from ${JSON.stringify(this.#latest)} to ${JSON.stringify(told)}`;
    }
    this.#latest = told;
    this.#last = told;
  }

  /** What was told is lost with the disk. What is said in regions that can be asked is to be known before anything is told. */
  forget(saidElsewhere: readonly Role[]): void {
    this.#latest = saidElsewhere
      .map(momentOf)
      .reduce((latest, each) => (isBefore(latest, each) ? each : latest), { epoch: 0, term: 0, isOver: true });
  }

  /** And that this was told last. */
  check(last?: Role): void {
    assert.equal(this.#wentBack, undefined, `What the node tells its actors went back ${this.#wentBack}`);
    if (last !== undefined) assert.deepEqual(this.#last, momentOf(last));
  }
}

function momentOf({ epoch, term, next }: Role): Moment {
  return { epoch, term, isOver: next === undefined };
}

function isBefore(one: Moment, other: Moment): boolean {
  if (one.epoch !== other.epoch) return one.epoch < other.epoch;
  return one.term === other.term ? !one.isOver && other.isOver : one.term < other.term;
}

function isRole(body: unknown): body is Role {
  return typeof body === "object" && body !== null && "duty" in body;
}
