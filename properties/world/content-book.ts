import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { type Judge } from "./judge.ts";
import { type SeenRow, text, type Update } from "./seen-row.ts";

/** What is known of one version of one row. */
interface Content {
  written: Update | undefined;
  /** The value that was first seen at a replica. */
  first: number | undefined;
}

/** What each version of each row was written as, and what replicas hold by its name. */
export class ContentBook {
  readonly #keys: number;
  readonly #judge: Judge;
  /** Per writer and key, by t. */
  readonly #contents = new Map<WriterId, readonly Map<number, Content>[]>();

  constructor(keys: number, judge: Judge) {
    this.#keys = keys;
    this.#judge = judge;
  }

  /** V4: a version names one content, for ever. */
  wrote(update: Update): void {
    const { key, version } = update;
    const content = this.#content(key, version);
    if (content.written !== undefined) this.#judge.breach("V4", `row ${key} at ${text(version)} was stamped twice`);
    content.written = update;
  }

  /** S3, S14, X8: a row that a replica holds is what was written, and the same as elsewhere. */
  check({ key, version, value, found }: SeenRow & { readonly key: number }, where: string): void {
    const content = this.#content(key, version);
    const { written, first } = content;
    if (written?.value !== value || (found === 0 && !written.deleted)) {
      this.#judge.breach(
        "S3",
        `row ${key} of ${where} holds ${value} at ${text(version)}, of which ${written?.value} was written`,
      );
    }
    if (written?.deleted === true && found === 1) {
      this.#judge.breach("S14", `row ${key} of ${where} was deleted at ${text(version)} and is there`);
    }
    if (first === undefined) content.first = value;
    else if (first !== value) {
      this.#judge.breach("X8", `row ${key} of ${where} is ${value} and elsewhere ${first}, both ${text(version)}`);
    }
  }

  #content(key: number, { t, writer }: Version): Content {
    const byKey = this.#contents.get(writer) ?? Array.from({ length: this.#keys }, () => new Map<number, Content>());
    if (!this.#contents.has(writer)) this.#contents.set(writer, byKey);
    const content = byKey[key]?.get(t) ?? { written: undefined, first: undefined };
    byKey[key]?.set(t, content);
    return content;
  }
}
