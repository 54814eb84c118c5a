/*
 * A planted bug is an edit of a text. This says in a moment, and not after minutes of worlds, that a change has moved one of them.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ADMISSION_MUTANTS } from "./mutants-admission.ts";
import { COLD_MUTANTS } from "./mutants-cold.ts";
import { COLUMN_MUTANTS } from "./mutants-columns.ts";
import { COST_MUTANTS } from "./mutants-cost.ts";
import { BACKUP_MUTANTS, IMAGE_MUTANTS } from "./mutants-image.ts";
import { JOINER_MUTANTS } from "./mutants-joiner.ts";
import { LOADING_MUTANTS } from "./mutants-loading.ts";
import { POLL_MUTANTS } from "./mutants-polls.ts";
import { PUSH_MUTANTS } from "./mutants-push.ts";
import { SEQUENCE_MUTANTS } from "./mutants-sequences.ts";
import { READER_MUTANTS } from "./mutants-reader.ts";
import { REGION_LOG_MUTANTS } from "./mutants-region-log.ts";
import { MUTANTS } from "./mutants.ts";

test("the text that each planted bug edits stands once in its file", () => {
  const moved = [
    ...MUTANTS,
    ...COLD_MUTANTS,
    ...COLUMN_MUTANTS,
    ...COST_MUTANTS,
    ...BACKUP_MUTANTS,
    ...IMAGE_MUTANTS,
    ...ADMISSION_MUTANTS,
    ...JOINER_MUTANTS,
    ...LOADING_MUTANTS,
    ...POLL_MUTANTS,
    ...PUSH_MUTANTS,
    ...READER_MUTANTS,
    ...REGION_LOG_MUTANTS,
    ...SEQUENCE_MUTANTS,
  ].flatMap(({ name, file, edits }) => {
    const source = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
    return edits.every(([find]) => source.split(find).length === 2) ? [] : [name];
  });
  expect(moved).toEqual([]);
});
