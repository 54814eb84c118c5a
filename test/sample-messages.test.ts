import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { freshet } from "./run-freshet.ts";

/** A message of the form before (sample-json.test.ts). */
const BEFORE = new URL("fixtures/samples/message.json", import.meta.url);

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
