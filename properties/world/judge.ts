/** A property does not hold. `property` is its id. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly property: string;

  constructor(property: string, what: string) {
    super(`${property}: ${what}`);
    this.property = property;
  }
}

/**
 * Decides which properties are looked at: all, or only some, so that each checker can be shown to find a bug by itself. What is
 * not watched passes, and the world goes on.
 */
export class Judge {
  /** Nothing is looked at: the world only runs. */
  readonly isBlind: boolean;
  readonly #only: ReadonlySet<string> | undefined;
  /** Properties that say of this world that all which must hold of rows and pulls holds also here. */
  readonly also = new Set<string>();

  constructor(only?: readonly string[]) {
    this.#only = only === undefined ? undefined : new Set(only);
    this.isBlind = this.#only?.size === 0;
  }

  watches(property: string): boolean {
    return this.#only === undefined || this.#only.has(property);
  }

  /** Throws `Violation` if the property is watched. */
  breach(property: string, what: string): void {
    if (this.watches(property)) throw new Violation(property, what);
    if (!/^[SL]/.test(property)) return;
    for (const other of this.also) if (this.watches(other)) throw new Violation(other, `${property}: ${what}`);
  }
}
