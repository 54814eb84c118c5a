import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BadConfig } from "../regions/read-config.ts";
import { parse } from "./config-parsing.ts";

test("a config file with pieces cut out, repeated and put in is taken or refused with its problems, never anything else", async () => {
  const good = await readFile(new URL("../regions/examples/oregon.jsonc", import.meta.url), "utf8");
  const piece = fc.constantFrom(
    "",
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    "null",
    "-1e999",
    '"__proto__":1,',
    "//",
    "\u0000",
    "[".repeat(5_000),
  );
  const edits = fc.array(fc.record({ at: fc.nat(good.length), cut: fc.nat(12), piece }), {
    minLength: 1,
    maxLength: 4,
  });
  let refused = 0;
  fc.assert(
    fc.property(edits, (list) => {
      let text = good;
      for (const edit of list) text = text.slice(0, edit.at) + edit.piece + text.slice(edit.at + edit.cut);
      try {
        expect(parse(text).region.length).toBeGreaterThan(0);
      } catch (error) {
        if (!(error instanceof BadConfig)) throw error;
        refused += 1;
        expect(error.problems.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 200 },
  );
  expect(refused).toBeGreaterThan(40);
});
