import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { freshet } from "./run-freshet.ts";

/** A message as streams held them before samples were in columns: JSON, of the joiner of that time. */
const BEFORE = new URL("fixtures/samples/message.json", import.meta.url);

test("a message of the form before is read, and what it says is the same in columns", async () => {
  const bytes = new Uint8Array(await readFile(BEFORE));
  const batch = decodeSampleBatch(bytes);
  expect(batch.keepFrom).toBe(41);
  expect(batch.positions).toHaveLength(2);
  expect(batch.samples.map(({ id, late }) => [id, late])).toEqual([
    ["r1:i7:1", undefined],
    ["r1:i8:0", 0.125],
    ["r0:i8:1", undefined],
  ]);
  const columns = encodeSampleBatch(batch);
  expect(decodeSampleBatch(columns)).toEqual(batch);
  // The first bytes of every message from now on.
  expect([...columns.subarray(0, 4)]).toEqual([0x46, 0x72, 0x4c, 1]);
});

test("freshet decode prints samples as they were when they were JSON, and says so where they are damaged", async () => {
  const before = new Uint8Array(await readFile(BEFORE));
  const columns = encodeSampleBatch(decodeSampleBatch(before));
  const printed = await freshet(["decode"], { input: columns });
  expect(printed).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(printed.out)).toEqual(JSON.parse(new TextDecoder().decode(before)));
  columns[20] = 0xff;
  const damaged = await freshet(["decode"], { input: columns });
  expect(damaged).toMatchObject({ code: 1, out: "" });
  expect(damaged.err).toContain("it begins as samples do and is damaged");
  expect(damaged.err).toContain("checksum");
});
